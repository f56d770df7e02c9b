/* Shamir's scheme: what is split combines to itself, and nothing that is wrong goes unnoticed. */
#include "fuzz.h"

enum { MOST_SECRETS = 3, MOST_HOLDERS = 6, LIMBS = 5, SECRET_BYTES = 32 };

static const uint64_t prime = (UINT64_C(1) << 61) - 1;

static bool all_below_prime(const uint64_t *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (values[i] >= prime)
            return false;
    return true;
}

static bool are_points(const uint64_t *points, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (points[i] == 0 || points[i] >= prime)
            return false;
        for (size_t j = 0; j < i; j++)
            if (points[i] == points[j])
                return false;
    }
    return true;
}

/* Numbers that are below the prime, unless `any`. */
static uint64_t *numbers(struct input *input, size_t count, bool any)
{
    uint64_t *values = taken(input, count * 8);
    for (size_t i = 0; i < count && !any; i++)
        values[i] %= prime;
    return values;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    const unsigned kind = (unsigned)number(&input, 1);
    const size_t count = number(&input, 1) % (MOST_SECRETS + 1);
    const size_t holders = number(&input, 1) % MOST_HOLDERS + 1;
    const size_t threshold = number(&input, 1) % holders + 1, degree = threshold - 1;
    uint64_t *points = numbers(&input, holders, (kind & 1) != 0);
    if ((kind & 2) != 0)
        for (size_t i = 0; i < holders; i++)
            points[i] = i + 1;
    uint64_t *lagrange = room(threshold * 8);
    const bool good = are_points(points, threshold);
    EXPECT(secagg_shamir_lagrange_m61(lagrange, points, threshold) ==
           (good ? SECAGG_OK : SECAGG_PARAMETER));
    EXPECT(good ? all_below_prime(lagrange, threshold) : all_zero(lagrange, threshold * 8));

    const size_t shared = count * holders * LIMBS;
    uint8_t *secrets = taken(&input, count * SECRET_BYTES);
    uint8_t *found = room(count * SECRET_BYTES);
    uint64_t *coefficients = numbers(&input, count * LIMBS * degree, (kind & 4) != 0);
    uint64_t *shares = room(shared * 8);
    if (are_points(points, holders)) {
        const int status = secagg_shamir_split_m61(shares, secrets, count, coefficients, degree,
                                                   points, holders);
        if (!all_below_prime(coefficients, count * LIMBS * degree)) {
            EXPECT(status == SECAGG_NOT_CANONICAL && all_zero(shares, shared * 8));
        } else {
            EXPECT(status == SECAGG_OK && all_below_prime(shares, shared));
            uint64_t *enough = room(count * threshold * LIMBS * 8);
            for (size_t s = 0; s < count; s++)
                memcpy(enough + s * threshold * LIMBS, shares + s * holders * LIMBS,
                       threshold * LIMBS * 8);
            EXPECT(secagg_shamir_combine_m61(found, enough, count, lagrange, threshold) ==
                   SECAGG_OK);
            EXPECT(same(found, secrets, count * SECRET_BYTES));
            free(enough);
        }
    }
    free(shares);
    free(coefficients);
    free(secrets);

    /* Shares from anybody. */
    uint64_t *foreign = numbers(&input, count * threshold * LIMBS, (kind & 8) != 0);
    const int status = secagg_shamir_combine_m61(found, foreign, count, lagrange, threshold);
    if (!all_below_prime(foreign, count * threshold * LIMBS))
        EXPECT(status == SECAGG_NOT_CANONICAL);
    else
        EXPECT(status == SECAGG_OK || status == SECAGG_INCONSISTENT);
    EXPECT(status == SECAGG_OK || all_zero(found, count * SECRET_BYTES));
    free(foreign);
    free(found);
    free(lagrange);
    free(points);
    return 0;
}
