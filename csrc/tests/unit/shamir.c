/* Shamir sharing, and the comparisons without branches that it is made of. */
#include "unit.h"

static void check_shamir(void)
{
    enum { COUNT = 2, HOLDERS = 7, THRESHOLD = 4, LIMBS = 5 };
    const uint64_t p = (UINT64_C(1) << 61) - 1;
    uint64_t points[HOLDERS] = {1, 2, 3, p - 1, 5, 6, UINT64_C(1) << 60};
    uint64_t coefficients[COUNT * LIMBS * (THRESHOLD - 1)];
    uint64_t shares[COUNT * HOLDERS * LIMBS];
    uint64_t chosen[COUNT * THRESHOLD * LIMBS];
    uint64_t lagrange[THRESHOLD];
    uint8_t secrets[COUNT * 32], back[COUNT * 32];

    memset(secrets, 0xff, 32); /* the largest limbs */
    memset(secrets + 32, 0x5a, 32);
    for (size_t i = 0; i < sizeof coefficients / sizeof *coefficients; i++)
        coefficients[i] = i % 3 == 0 ? p - 1 - i : i * UINT64_C(0x123456789abcdef) % p;
    CHECK(secagg_shamir_split_m61(shares, secrets, COUNT, coefficients, THRESHOLD - 1, points,
                                  HOLDERS) == SECAGG_OK);
    for (size_t first = 0; first + THRESHOLD <= HOLDERS; first++) {
        for (size_t s = 0; s < COUNT; s++)
            memcpy(chosen + s * THRESHOLD * LIMBS, shares + (s * HOLDERS + first) * LIMBS,
                   THRESHOLD * LIMBS * sizeof *shares);
        CHECK(secagg_shamir_lagrange_m61(lagrange, points + first, THRESHOLD) == SECAGG_OK);
        CHECK(secagg_shamir_combine_m61(back, chosen, COUNT, lagrange, THRESHOLD) == SECAGG_OK);
        CHECK(memcmp(back, secrets, sizeof secrets) == 0);
    }

    chosen[7] ^= 1;
    CHECK(secagg_shamir_combine_m61(back, chosen, COUNT, lagrange, THRESHOLD) ==
          SECAGG_INCONSISTENT);
    CHECK(back[0] == 0 && back[63] == 0);
    chosen[7] = p;
    CHECK(secagg_shamir_combine_m61(back, chosen, COUNT, lagrange, THRESHOLD) ==
          SECAGG_NOT_CANONICAL);
    coefficients[1] = p;
    CHECK(secagg_shamir_split_m61(shares, secrets, COUNT, coefficients, THRESHOLD - 1, points,
                                  HOLDERS) == SECAGG_NOT_CANONICAL);
    CHECK(shares[0] == 0 && shares[COUNT * HOLDERS * LIMBS - 1] == 0);

    points[1] = points[0];
    CHECK(secagg_shamir_lagrange_m61(lagrange, points, THRESHOLD) == SECAGG_PARAMETER);
    CHECK(lagrange[0] == 0);
    points[1] = 0;
    CHECK(secagg_shamir_lagrange_m61(lagrange, points, THRESHOLD) == SECAGG_PARAMETER);
    points[1] = p;
    CHECK(secagg_shamir_lagrange_m61(lagrange, points, THRESHOLD) == SECAGG_PARAMETER);
}

static void check_comparisons(void)
{
    static const uint64_t values[] = {0, 1, 2, (UINT64_C(1) << 61) - 1, INT64_MAX};
    for (size_t i = 0; i < 5; i++) {
        CHECK(is_nonzero(values[i]) == (values[i] != 0));
        for (size_t j = 0; j < 5; j++)
            CHECK(less_than(values[i], values[j]) == (values[i] < values[j]));
    }
    CHECK(is_nonzero(UINT64_MAX) == 1 && is_nonzero(UINT64_C(1) << 63) == 1);
    CHECK(mask_of(1) == UINT64_MAX && mask_of(0) == 0);
}

int failures_of_shamir(void)
{
    check_shamir();
    check_comparisons();
    return failures;
}
