//! What a bundle says about how to rebuild.

use counterseal_assembly::Assembly;
use counterseal_attestation::Sha256Digest;
use counterseal_attestation::bundle::Bundle;
use counterseal_attestation::dsse::IN_TOTO_PAYLOAD_TYPE;
use counterseal_attestation::provenance::{BuildDefinition, Provenance};
use counterseal_attestation::statement::{Statement, Subject};

use crate::error::ReplayError;

/// Provenance, read and ready to be replayed.
#[derive(Debug, Clone)]
pub struct Replayable {
    /// SHA-256 of the envelope's payload: names this provenance in the verdict.
    pub payload_digest: Sha256Digest,
    /// What was assembled, with digests.
    pub(crate) subjects: Vec<Subject>,
    /// Expected digests, in the order of the subjects.
    pub expected: Vec<(String, Sha256Digest)>,
    /// The statement's build definition.
    pub(crate) definition: BuildDefinition,
}

impl Replayable {
    /// Reads the provenance out of a bundle. The signature is not checked here.
    ///
    /// # Errors
    /// [`ReplayError::NotProvenance`] for any other statement; [`ReplayError::SubjectDigest`].
    pub fn from_bundle(bundle: &Bundle) -> Result<Self, ReplayError> {
        let envelope = &bundle.envelope;
        if envelope.payload_type != IN_TOTO_PAYLOAD_TYPE {
            return Err(ReplayError::NotProvenance {
                detail: format!("payload type is {}", envelope.payload_type.escape_debug()),
            });
        }
        let statement = Statement::<Provenance>::parse(&envelope.payload).map_err(|error| {
            ReplayError::NotProvenance {
                detail: error.to_string(),
            }
        })?;
        let expected = statement
            .subject
            .iter()
            .map(|subject| match subject.digest.sha256() {
                Some(digest) => Ok((subject.name.clone(), digest)),
                None => Err(ReplayError::SubjectDigest {
                    name: subject.name.clone(),
                }),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            payload_digest: envelope.payload_digest(),
            subjects: statement.subject,
            expected,
            definition: statement.predicate.build_definition,
        })
    }

    /// Recipe and lock as the provenance carries them.
    ///
    /// # Errors
    /// A reason in words: the provenance contradicts itself, so no rebuild can stand for it.
    pub(crate) fn assembly(&self) -> Result<Assembly, String> {
        let parameters = &self.definition.external_parameters;
        let recipe = &parameters.recipe;
        let assembly = Assembly::parse(recipe.name(), recipe.content(), parameters.lock.content())
            .map_err(|error| error.to_string())?;
        let product = &assembly.recipe.product;
        if (&product.name, &product.version)
            != (&parameters.product.name, &parameters.product.version)
        {
            return Err("the product is not the one that the recipe names".to_owned());
        }
        if counterseal_assembly::dependencies(&assembly) != self.definition.resolved_dependencies {
            return Err("the dependencies are not those that the lock pins".to_owned());
        }
        Ok(assembly)
    }
}
