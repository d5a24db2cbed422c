/* Writes a file of given size whose bytes look random and are always the same: fill PATH BYTES. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    static uint64_t block[8192];
    uint64_t state = 0x9e3779b97f4a7c15;
    FILE *file = argc == 3 ? fopen(argv[1], "wb") : NULL;
    if (file == NULL) {
        fputs("usage: fill PATH BYTES\n", stderr);
        return 2;
    }
    for (unsigned long long left = strtoull(argv[2], NULL, 10); left > 0;) {
        for (size_t index = 0; index < sizeof block / sizeof *block; index++) {
            state ^= state << 13; /* xorshift64 */
            state ^= state >> 7;
            state ^= state << 17;
            block[index] = state;
        }
        size_t now = left < sizeof block ? (size_t)left : sizeof block;
        if (fwrite(block, 1, now, file) != now)
            return 1;
        left -= now;
    }
    return fclose(file) == 0 ? 0 : 1;
}
