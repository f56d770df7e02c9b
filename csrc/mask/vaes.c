/* The mask kernel with VAES: two blocks per register. Built with -maes -msse4.1 -mavx2 -mvaes,
 * that is without AVX-512: its wider registers gain nothing here, and fewer CPUs have them. */
#include "mask/x86.h"

#define KERNEL secagg_mask_apply_vaes
#define KEYSTREAM secagg_mask_keystream_vaes
#define VEC_BLOCKS 2

typedef __m256i vec;

#define vec_load(place) _mm256_loadu_si256((const __m256i *)(const void *)(place))
#define vec_store(place, value) _mm256_storeu_si256((__m256i *)(void *)(place), value)
#define vec_broadcast _mm256_broadcastsi128_si256
#define vec_block_numbers() _mm256_setr_epi32(0, 0, 0, 0, 0, 0, 0, 1)
#define vec_shuffle _mm256_shuffle_epi8
#define vec_begin(block, key) _mm256_xor_si256(block, key)
#define vec_round(state, before, key) ((void)(before), _mm256_aesenc_epi128(state, key))
#define vec_last_round(state, before, key) ((void)(before), _mm256_aesenclast_epi128(state, key))
#define vec_add_16 _mm256_add_epi16
#define vec_add_32 _mm256_add_epi32
#define vec_add_64 _mm256_add_epi64
#define vec_sub_16 _mm256_sub_epi16
#define vec_sub_32 _mm256_sub_epi32
#define vec_sub_64 _mm256_sub_epi64
/* Also spares the SSE code that runs next the penalty for the upper halves being in use. */
#define vec_clear_registers() _mm256_zeroall()

#include "mask/fused.h"
