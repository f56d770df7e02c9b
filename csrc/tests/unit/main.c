/*
 * Unit tests of the C core at one level: `unit portable`, `unit aesni`, `unit vaes`, `unit armv8`.
 *
 * Run under sanitizers these are first of all tests of bounds: every buffer has its exact size.
 * Equality with independent implementations is tested from Python, at the same levels.
 */
#include "unit.h"

enum { SKIPPED = 77 };

static void check_wipe(void)
{
    uint8_t *buffer = filled(100);
    secagg_bytes_wipe(buffer, 99);
    for (size_t i = 0; i < 99; i++)
        CHECK(buffer[i] == 0);
    CHECK(buffer[99] == 100);
    secagg_bytes_wipe(NULL, 0);
    free(buffer);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s portable|aesni|vaes|armv8\n", argv[0]);
        return 2;
    }
    CHECK(strcmp(secagg_cpu_selected(), "portable") == 0);
    CHECK(secagg_cpu_select("abacus") == SECAGG_UNAVAILABLE);
    if (!secagg_cpu_supported(argv[1])) {
        fprintf(stderr, "this CPU cannot run level %s\n", argv[1]);
        return SKIPPED;
    }
    CHECK(secagg_cpu_select(argv[1]) == SECAGG_OK);
    CHECK(strcmp(secagg_cpu_selected(), argv[1]) == 0);

    check_wipe();
    failures += failures_of_ring();
    failures += failures_of_masks();
    failures += failures_of_fixed();
    failures += failures_of_shamir();
    if (failures != 0)
        fprintf(stderr, "%d checks failed at level %s\n", failures, argv[1]);
    return failures != 0;
}
