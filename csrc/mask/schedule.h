/* AES key expansion (FIPS 197, section 5.2) with the AES instructions, for fused.h, which says what
 * a level has to define. */
#ifndef SECAGG_MASK_SCHEDULE_H
#define SECAGG_MASK_SCHEDULE_H

#include "internal.h"

enum { AES128_ROUNDS = 10, AES256_ROUNDS = 14 };

/* The words w0, w0^w1, w0^w1^w2, w0^w1^w2^w3 of a round key: the running xor of the recurrence
 * w[i] = w[i - Nk] ^ w[i - 1]. */
static inline aes_block running_xor(aes_block key)
{
    key = block_xor(key, block_shift(key, 4));
    return block_xor(key, block_shift(key, 8));
}

/* The key that follows `newer`, where `older` is Nk words before it. AES-256 has two kinds. */
#define NEXT_KEY(older, newer, constant)                                                          \
    block_xor(running_xor(older), block_rotated_sub_word(newer, constant))
#define NEXT_ODD_KEY(older, newer) block_xor(running_xor(older), block_sub_word(newer))

static inline void expand_aes128(aes_block keys[AES128_ROUNDS + 1], const uint8_t key[16])
{
    keys[0] = block_load(key);
    keys[1] = NEXT_KEY(keys[0], keys[0], 0x01);
    keys[2] = NEXT_KEY(keys[1], keys[1], 0x02);
    keys[3] = NEXT_KEY(keys[2], keys[2], 0x04);
    keys[4] = NEXT_KEY(keys[3], keys[3], 0x08);
    keys[5] = NEXT_KEY(keys[4], keys[4], 0x10);
    keys[6] = NEXT_KEY(keys[5], keys[5], 0x20);
    keys[7] = NEXT_KEY(keys[6], keys[6], 0x40);
    keys[8] = NEXT_KEY(keys[7], keys[7], 0x80);
    keys[9] = NEXT_KEY(keys[8], keys[8], 0x1b);
    keys[10] = NEXT_KEY(keys[9], keys[9], 0x36);
}

static inline void expand_aes256(aes_block keys[AES256_ROUNDS + 1], const uint8_t key[32])
{
    keys[0] = block_load(key);
    keys[1] = block_load(key + 16);
    keys[2] = NEXT_KEY(keys[0], keys[1], 0x01);
    keys[3] = NEXT_ODD_KEY(keys[1], keys[2]);
    keys[4] = NEXT_KEY(keys[2], keys[3], 0x02);
    keys[5] = NEXT_ODD_KEY(keys[3], keys[4]);
    keys[6] = NEXT_KEY(keys[4], keys[5], 0x04);
    keys[7] = NEXT_ODD_KEY(keys[5], keys[6]);
    keys[8] = NEXT_KEY(keys[6], keys[7], 0x08);
    keys[9] = NEXT_ODD_KEY(keys[7], keys[8]);
    keys[10] = NEXT_KEY(keys[8], keys[9], 0x10);
    keys[11] = NEXT_ODD_KEY(keys[9], keys[10]);
    keys[12] = NEXT_KEY(keys[10], keys[11], 0x20);
    keys[13] = NEXT_ODD_KEY(keys[11], keys[12]);
    keys[14] = NEXT_KEY(keys[12], keys[13], 0x40);
}

#undef NEXT_KEY
#undef NEXT_ODD_KEY

#endif
