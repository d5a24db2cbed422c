//! Journeys, hostile inputs and the architecture test: see `tests/`.
