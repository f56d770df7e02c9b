/*
 * The ring functions for one lane. portable.c includes this file once per lane, with
 *
 *   LANE         the type of a lane
 *   NAME(verb)   the public name of the function for that lane
 *
 * Every (LANE) cast below undoes C's promotion of 16-bit lanes to int.
 */

void NAME(add)(LANE *restrict total, const LANE *restrict vector, size_t length)
{
    for (size_t i = 0; i < length; i++)
        total[i] = (LANE)(total[i] + vector[i]);
}

void NAME(subtract)(LANE *restrict total, const LANE *restrict vector, size_t length)
{
    for (size_t i = 0; i < length; i++)
        total[i] = (LANE)(total[i] - vector[i]);
}

void NAME(reduce)(LANE *restrict total, size_t length, unsigned bits)
{
    const LANE mask = (LANE)low_bits(bits);
    for (size_t i = 0; i < length; i++)
        total[i] &= mask;
}

void NAME(pack)(uint8_t *restrict packed, const LANE *restrict vector, size_t length,
                unsigned bits)
{
    const uint64_t mask = low_bits(bits);
    uint64_t word = 0;   /* what waits to be written */
    unsigned filled = 0; /* its bits, always < 64 */

    if (length == 0)
        return;
    if (bits == 8 * sizeof(LANE)) {
        memcpy(packed, vector, length * sizeof(LANE));
        return;
    }
    for (size_t i = 0; i < length; i++) {
        const uint64_t value = vector[i] & mask;
        word |= value << filled;
        filled += bits;
        if (filled >= 64) {
            memcpy(packed, &word, 8);
            packed += 8;
            filled -= 64;
            /* The bits of value that did not fit; bits - filled is in 1..63, as bits < 64 here. */
            word = value >> (bits - filled);
        }
    }
    memcpy(packed, &word, (filled + 7) / 8);
}

int NAME(unpack)(LANE *restrict vector, const uint8_t *restrict packed, size_t length,
                 unsigned bits)
{
    const uint64_t mask = low_bits(bits);
    size_t i = 0;

    if (!padding_is_zero(packed, length, bits))
        return SECAGG_NOT_CANONICAL;
    if (length == 0)
        return SECAGG_OK;
    if (bits == 8 * sizeof(LANE)) {
        memcpy(vector, packed, length * sizeof(LANE));
        return SECAGG_OK;
    }
    for (const size_t inside = far_from_the_end(length, bits); i < inside; i++)
        vector[i] = (LANE)(bits_at(packed, i * bits) & mask);
    for (; i < length; i++)
        vector[i] = (LANE)(last_bits_at(packed, packed_size(length, bits), i * bits) & mask);
    return SECAGG_OK;
}

int NAME(unpack_add)(LANE *restrict total, const uint8_t *restrict packed, size_t length,
                     unsigned bits)
{
    const uint64_t mask = low_bits(bits);
    size_t i = 0;

    if (!padding_is_zero(packed, length, bits))
        return SECAGG_NOT_CANONICAL;
    if (bits == 8 * sizeof(LANE)) {
        for (; i < length; i++) {
            LANE value;
            memcpy(&value, packed + i * sizeof(LANE), sizeof(LANE));
            total[i] = (LANE)(total[i] + value);
        }
        return SECAGG_OK;
    }
    for (const size_t inside = far_from_the_end(length, bits); i < inside; i++)
        total[i] = (LANE)(total[i] + (bits_at(packed, i * bits) & mask));
    for (; i < length; i++)
        total[i] = (LANE)(total[i] +
                          (last_bits_at(packed, packed_size(length, bits), i * bits) & mask));
    return SECAGG_OK;
}

#undef LANE
#undef NAME
