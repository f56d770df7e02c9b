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
    /* The chain from word to word is what takes time: first join what fits one word. */
    const size_t joined = bits <= 16 ? 4 : bits <= 32 ? 2 : 1;
    const unsigned width = (unsigned)joined * bits;
    size_t i = 0;
    for (; length - i >= joined; i += joined) {
        uint64_t value = vector[i] & mask;
        for (size_t j = 1; j < joined; j++)
            value |= (vector[i + j] & mask) << (j * bits);
        word |= value << filled;
        filled += width;
        if (filled >= 64) {
            memcpy(packed, &word, 8);
            packed += 8;
            filled -= 64;
            /* The bits of value that did not fit, none if width is 64 and nothing was waiting. */
            word = filled == 0 ? 0 : value >> (width - filled);
        }
    }
    for (; i < length; i++) {
        const uint64_t value = vector[i] & mask;
        word |= value << filled;
        filled += bits;
        if (filled >= 64) {
            memcpy(packed, &word, 8);
            packed += 8;
            filled -= 64;
            word = filled == 0 ? 0 : value >> (bits - filled);
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

/* Adds the elements from `first` on, before `end`, of one packed vector of `length`. */
static void NAME(add_packed)(LANE *restrict total, const uint8_t *restrict packed, size_t first,
                             size_t end, size_t length, unsigned bits)
{
    const uint64_t mask = low_bits(bits);
    size_t i = first;

    if (bits == 8 * sizeof(LANE)) {
        for (; i < end; i++) {
            LANE value;
            memcpy(&value, packed + i * sizeof(LANE), sizeof(LANE));
            total[i] = (LANE)(total[i] + value);
        }
        return;
    }
    const size_t inside = far_from_the_end(length, bits);
    for (const size_t stop = inside < end ? inside : end; i < stop; i++)
        total[i] = (LANE)(total[i] + (bits_at(packed, i * bits) & mask));
    for (; i < end; i++)
        total[i] = (LANE)(total[i] +
                          (last_bits_at(packed, packed_size(length, bits), i * bits) & mask));
}

int NAME(sum)(LANE *restrict total, const uint8_t *const *restrict packed, size_t count,
              size_t length, unsigned bits)
{
    secagg_sum_kernel *kernel = secagg_level()->sum;
    const size_t tile = SUM_TILE / sizeof(LANE);

    for (size_t v = 0; v < count; v++)
        if (!padding_is_zero(packed[v], length, bits))
            return SECAGG_NOT_CANONICAL;
    for (size_t first = 0; first < length; first += tile) {
        const size_t size = length - first < tile ? length - first : tile;
        const size_t start = packed_size(first, bits); /* exact: a tile fills whole bytes */
        const size_t readable = packed_size(length, bits) - start;
        for (size_t v = 0; v < count; v += SECAGG_SUM_VECTORS) {
            const size_t taken = count - v < SECAGG_SUM_VECTORS ? count - v : SECAGG_SUM_VECTORS;
            const size_t done =
                kernel == NULL ? 0
                               : kernel((uint8_t *)(total + first), packed + v, taken, start,
                                        readable, size, sizeof(LANE), bits);
            for (size_t i = v; i < v + taken; i++)
                NAME(add_packed)(total, packed[i], first + done, first + size, length, bits);
        }
    }
    return SECAGG_OK;
}

int NAME(within)(const LANE *restrict vector, size_t length, unsigned bits, uint64_t bound)
{
    const LANE mask = (LANE)low_bits(bits), shift = (LANE)bound;
    /* Shifted by the bound, the elements that lie within it are 0 to twice the bound. Bits that
     * are set in any element are kept, and the largest distance. */
    LANE bits_set = 0, largest = 0;
    for (size_t i = 0; i < length; i++) {
        const LANE distance = (LANE)(vector[i] + shift) & mask;
        bits_set |= vector[i];
        largest = distance > largest ? distance : largest;
    }
    return verdict((uint64_t)((bits_set & (LANE)~mask) == 0) &
                   (uint64_t)((uint64_t)largest <= 2 * bound)) != 0;
}

#undef LANE
#undef NAME
