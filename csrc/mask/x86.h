/* One block of AES in a register of x86: what aesni.c and vaes.c have in common. */
#ifndef SECAGG_MASK_X86_H
#define SECAGG_MASK_X86_H

#include <immintrin.h>

typedef __m128i aes_block;

#define block_load(place) _mm_loadu_si128((const __m128i *)(const void *)(place))
#define block_xor _mm_xor_si128
#define block_shift _mm_slli_si128

/* The assist instruction wants the round constant as an immediate. Its word 3 is
 * RotWord(SubWord(w3)) ^ constant, its word 2 SubWord(w3). */
#define block_rotated_sub_word(key, constant)                                                     \
    _mm_shuffle_epi32(_mm_aeskeygenassist_si128(key, constant), 0xff)
#define block_sub_word(key) _mm_shuffle_epi32(_mm_aeskeygenassist_si128(key, 0), 0xaa)

#endif
