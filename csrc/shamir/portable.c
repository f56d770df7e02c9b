/*
 * Shamir secret sharing over the field of p = 2^61 - 1.
 *
 * Secrets, coefficients and shares are secret: no branch, no address depends on them, only on
 * counts and points. The 64 x 64 -> 128 bit multiply takes constant time on the CPUs we support.
 */
#include "internal.h"

enum { LIMBS = 5, SECRET_BYTES = 32, LIMB_BYTES = 7, LAST_LIMB_BYTES = 4 };

static const uint64_t p = (UINT64_C(1) << 61) - 1;

__extension__ typedef unsigned __int128 uint128;

/* Congruent to value, since 2^61 = 1. For value < 2^124 the sum is < 2^61 + 2^63, so it fits. */
static inline uint64_t fold(uint128 value)
{
    return ((uint64_t)value & p) + (uint64_t)(value >> 61);
}

/* Any 64-bit value to one <= p + 7. */
static inline uint64_t partly_reduced(uint64_t value)
{
    return (value & p) + (value >> 61);
}

/* A value < 2p to its representative < p. */
static inline uint64_t canonical(uint64_t value)
{
    return value - (p & ~mask_of(less_than(value, p)));
}

/* a * b + c as a value <= p + 7, for a and c <= p + 7 and b <= p: then a * b + c < 2^123. */
static inline uint64_t multiply_add(uint64_t a, uint64_t b, uint64_t c)
{
    return partly_reduced(fold((uint128)a * b + c));
}

static inline uint64_t multiply(uint64_t a, uint64_t b)
{
    return canonical(multiply_add(a, b, 0));
}

static size_t limb_size(size_t limb)
{
    return limb == LIMBS - 1 ? LAST_LIMB_BYTES : LIMB_BYTES;
}

/* 1 if value >= p, which is the case if one of the top three bits is set or all the others are. */
static inline uint64_t not_canonical(uint64_t value)
{
    return is_nonzero(value >> 61) | (less_than(value & p, p) ^ 1);
}

int secagg_shamir_split_m61(uint64_t *restrict shares, const uint8_t *restrict secrets,
                            size_t count, const uint64_t *restrict coefficients, size_t degree,
                            const uint64_t *restrict points, size_t holders)
{
    uint64_t refused = 0;
    for (size_t i = 0; i < count * LIMBS * degree; i++)
        refused |= not_canonical(coefficients[i]);
    if (verdict(refused)) {
        memset(shares, 0, count * holders * LIMBS * sizeof *shares);
        return SECAGG_NOT_CANONICAL;
    }

    uint64_t limbs[LIMBS];
    for (size_t s = 0; s < count; s++) {
        for (size_t l = 0; l < LIMBS; l++) {
            limbs[l] = 0;
            memcpy(&limbs[l], secrets + s * SECRET_BYTES + l * LIMB_BYTES, limb_size(l));
        }
        const uint64_t *row = coefficients + s * LIMBS * degree;
        for (size_t h = 0; h < holders; h++) {
            /* Horner's rule for the five limbs side by side: independent chains overlap. */
            uint64_t sum[LIMBS] = {0};
            for (size_t k = degree; k-- > 0;)
                for (size_t l = 0; l < LIMBS; l++)
                    sum[l] = multiply_add(sum[l], points[h], row[l * degree + k]);
            for (size_t l = 0; l < LIMBS; l++)
                *shares++ = canonical(multiply_add(sum[l], points[h], limbs[l]));
        }
    }
    wipe(limbs, sizeof limbs);
    return SECAGG_OK;
}

/* value^(p-2), in variable time of the public exponent only. */
static uint64_t inverse(uint64_t value)
{
    uint64_t result = 1;
    for (uint64_t exponent = p - 2; exponent != 0; exponent >>= 1) {
        if (exponent & 1)
            result = multiply(result, value);
        value = multiply(value, value);
    }
    return result;
}

int secagg_shamir_lagrange_m61(uint64_t *restrict lagrange, const uint64_t *restrict points,
                               size_t threshold)
{
    uint64_t product = 1;
    int refused = 0;
    for (size_t i = 0; i < threshold; i++) {
        refused |= points[i] == 0 || points[i] >= p;
        product = multiply(product, points[i] & p);
    }
    /* points[j] / (points[j] - points[i]) over j != i: the product of all points over this one
     * and all differences. A point that occurs twice makes a difference zero. */
    for (size_t i = 0; i < threshold && !refused; i++) {
        uint64_t divisor = points[i];
        for (size_t j = 0; j < threshold; j++)
            if (j != i)
                divisor = multiply(divisor, canonical(points[j] + p - points[i]));
        refused |= divisor == 0;
        lagrange[i] = multiply(product, inverse(divisor));
    }
    if (refused) {
        memset(lagrange, 0, threshold * sizeof *lagrange);
        return SECAGG_PARAMETER;
    }
    return SECAGG_OK;
}

int secagg_shamir_combine_m61(uint8_t *restrict secrets, const uint64_t *restrict shares,
                              size_t count, const uint64_t *restrict lagrange, size_t threshold)
{
    uint64_t refused = 0;
    for (size_t i = 0; i < count * threshold * LIMBS; i++)
        refused |= not_canonical(shares[i]);
    if (verdict(refused)) {
        memset(secrets, 0, count * SECRET_BYTES);
        return SECAGG_NOT_CANONICAL;
    }

    uint64_t limbs[LIMBS];
    uint64_t overflow = 0;
    for (size_t s = 0; s < count; s++) {
        memset(limbs, 0, sizeof limbs);
        for (size_t i = 0; i < threshold; i++)
            for (size_t l = 0; l < LIMBS; l++)
                limbs[l] = multiply_add(lagrange[i], shares[(s * threshold + i) * LIMBS + l],
                                        limbs[l]);
        for (size_t l = 0; l < LIMBS; l++) {
            limbs[l] = canonical(limbs[l]);
            overflow |= limbs[l] >> (8 * limb_size(l));
            memcpy(secrets + s * SECRET_BYTES + l * LIMB_BYTES, &limbs[l], limb_size(l));
        }
    }
    wipe(limbs, sizeof limbs);
    /* Only the verdict over all secrets comes out, never which limb it was. */
    if (verdict(is_nonzero(overflow))) {
        wipe(secrets, count * SECRET_BYTES);
        return SECAGG_INCONSISTENT;
    }
    return SECAGG_OK;
}
