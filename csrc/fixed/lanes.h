/*
 * The fixed-point functions for one lane. portable.c includes this file once per lane, with
 *
 *   LANE         the type of a lane
 *   NAME(verb)   the public name of the function for that lane
 */

int NAME(encode)(LANE *restrict out, const float *restrict values,
                 const uint16_t *restrict randomness, size_t length, double clip, double scale,
                 unsigned bits, uint64_t *report)
{
    const uint64_t mask = UINT64_MAX >> (64 - bits);
    uint64_t saturated = 0;

    if (!all_finite(values, length)) {
        memset(out, 0, length * sizeof *out);
        *report = first_not_finite(values);
        return SECAGG_NOT_FINITE;
    }
    if (randomness == NULL)
        for (size_t i = 0; i < length; i++) {
            const struct split q = split(values[i], clip, scale, &saturated);
            out[i] = (LANE)(joined(q, q.whole + (rounds_to_even(q.part, q.whole) & 1)) & mask);
        }
    else
        for (size_t i = 0; i < length; i++) {
            const struct split q = split(values[i], clip, scale, &saturated);
            out[i] = (LANE)(joined(q, q.whole + rounds_by(q, randomness[i])) & mask);
        }
    *report = saturated;
    return SECAGG_OK;
}

void NAME(center)(int64_t *restrict out, const LANE *restrict vector, size_t length,
                  unsigned bits)
{
    for (size_t i = 0; i < length; i++)
        out[i] = centered(vector[i], bits);
}

void NAME(decode)(double *restrict out, const LANE *restrict vector, size_t length,
                  unsigned bits, double divisor)
{
    for (size_t i = 0; i < length; i++)
        out[i] = (double)centered(vector[i], bits) / divisor;
}

#undef LANE
#undef NAME
