/*
 * AES-CTR keystream added straight into lanes: the mask never reaches memory.
 *
 * aesni.c, vaes.c and armv8.c include this file after they have defined
 *
 *   KERNEL                              the name of the kernel
 *   KEYSTREAM                           the name of the same without the addition
 *   vec                                 a register of VEC_BLOCKS blocks of 16 bytes
 *   vec_load, vec_store                 unaligned
 *   vec_broadcast(block)                the same block everywhere
 *   vec_block_numbers()                 0, 1, ... in the last 32 bits of each block, zero elsewhere
 *   vec_shuffle                         by bytes, within each block
 *   vec_begin(block, key)               what precedes the first round of AES
 *   vec_round(state, before, key)       a round of AES but the last
 *   vec_last_round(state, before, key)
 *   vec_add_N, vec_sub_N                lanes of N = 16, 32, 64 bits
 *   vec_clear_registers()               zeroes every vector register that the level may use
 *
 * and, for the key schedule, on one block as four words w0 to w3,
 *
 *   aes_block, block_load, block_xor
 *   block_shift(key, bytes)                towards w3, with zeros behind
 *   block_sub_word(key)                    SubWord(w3) four times
 *   block_rotated_sub_word(key, constant)  RotWord(SubWord(w3)) ^ constant four times
 *
 * so all levels run the same code.
 *
 * The rounds are given two keys because the instructions cut AES at different places. As FIPS 197
 * has it, key 0 is added first, and then every round ends with adding its own `key`: so does x86.
 * ARM's AESE begins with adding a key. There every round adds `before`, the key of the round
 * before it; vec_begin leaves key 0 to round 1, and the last round adds both.
 */
#include "mask/schedule.h"

enum {
    BLOCK = 16,
    WAYS = 8, /* registers in flight: covers the latency of an AES round */
    CHUNK = WAYS * VEC_BLOCKS * BLOCK,
    CHUNK_BLOCKS = WAYS * VEC_BLOCKS,
    /* A tile of the total stays in the first-level cache while all streams pass over it, and is
     * long enough that expanding each key again per tile costs about 1 %. */
    TILE = 32 * 1024
};

/* What is secret besides the vector, in one place to wipe. */
struct work {
    vec keys[AES256_ROUNDS + 1];
    uint8_t edge[CHUNK];
};

static void expand(struct work *work, const struct secagg_mask_stream *stream)
{
    aes_block keys[AES256_ROUNDS + 1];
    int rounds = AES128_ROUNDS;
    if (stream->key_size == 16) {
        expand_aes128(keys, stream->key);
    } else {
        rounds = AES256_ROUNDS;
        expand_aes256(keys, stream->key);
    }
    for (int i = 0; i <= rounds; i++)
        work->keys[i] = vec_broadcast(keys[i]);
    wipe(keys, sizeof keys);
}

/* The counter blocks iv || block, iv || block + 1, ... with the block index in the CPU's byte
 * order, so that it can be added to; `to_big_endian` turns it round. */
static inline vec first_counters(const uint8_t iv[12], uint32_t block)
{
    uint8_t counter[BLOCK];
    memcpy(counter, iv, 12);
    memcpy(counter + 12, &block, 4);
    return vec_add_32(vec_broadcast(block_load(counter)), vec_block_numbers());
}

static inline vec to_big_endian(vec counters)
{
    static const uint8_t last_word_reversed[BLOCK] = {0, 1, 2,  3,  4,  5,  6,  7,
                                                      8, 9, 10, 11, 15, 14, 13, 12};
    return vec_shuffle(counters, vec_broadcast(block_load(last_word_reversed)));
}

#define EIGHT_TIMES(statement)                                                                    \
    statement(0) statement(1) statement(2) statement(3) statement(4) statement(5) statement(6)    \
        statement(7)

/* Adds or subtracts whole chunks; with a sign of 0 it stores the keystream. rounds, lane_bytes and sign are constants wherever this is
 * inlined, so the loop has no branch but its own. */
static inline __attribute__((always_inline)) void
apply_chunks(uint8_t *total, size_t chunks, vec counters, const vec *keys, const int rounds,
             const int lane_bytes, const int sign)
{
    static const uint8_t one_register[BLOCK] = {[12] = VEC_BLOCKS};
    const vec step = vec_broadcast(block_load(one_register));

    for (; chunks != 0; chunks--) {
#define START(i)                                                                                  \
    vec state##i = vec_begin(to_big_endian(counters), keys[0]);                                   \
    counters = vec_add_32(counters, step);
        EIGHT_TIMES(START)
#undef START

#pragma GCC unroll 16
        for (int round = 1; round < rounds; round++) {
            const vec before = keys[round - 1], key = keys[round];
#define ROUND(i) state##i = vec_round(state##i, before, key);
            EIGHT_TIMES(ROUND)
#undef ROUND
        }

        const vec before = keys[rounds - 1], key = keys[rounds];
#define FINISH(i)                                                                                 \
    {                                                                                             \
        uint8_t *place = total + (i) * VEC_BLOCKS * BLOCK;                                        \
        const vec stream = vec_last_round(state##i, before, key);                                 \
        const vec old = sign == 0 ? stream : vec_load(place);                                     \
        if (sign == 0)                                                                            \
            vec_store(place, stream);                                                             \
        else if (lane_bytes == 2)                                                                   \
            vec_store(place, sign > 0 ? vec_add_16(old, stream) : vec_sub_16(old, stream));       \
        else if (lane_bytes == 4)                                                                 \
            vec_store(place, sign > 0 ? vec_add_32(old, stream) : vec_sub_32(old, stream));       \
        else                                                                                      \
            vec_store(place, sign > 0 ? vec_add_64(old, stream) : vec_sub_64(old, stream));       \
    }
        EIGHT_TIMES(FINISH)
#undef FINISH
        total += CHUNK;
    }
}

typedef void chunk_loop(uint8_t *total, size_t chunks, vec counters, const vec *keys);

#define CHUNK_LOOP(name, rounds, lane_bytes, sign)                                                \
    static __attribute__((noinline)) void name(uint8_t *total, size_t chunks, vec counters,       \
                                               const vec *keys)                                   \
    {                                                                                             \
        apply_chunks(total, chunks, counters, keys, rounds, lane_bytes, sign);                    \
    }

CHUNK_LOOP(add_aes128_u16, AES128_ROUNDS, 2, 1)
CHUNK_LOOP(add_aes128_u32, AES128_ROUNDS, 4, 1)
CHUNK_LOOP(add_aes128_u64, AES128_ROUNDS, 8, 1)
CHUNK_LOOP(add_aes256_u16, AES256_ROUNDS, 2, 1)
CHUNK_LOOP(add_aes256_u32, AES256_ROUNDS, 4, 1)
CHUNK_LOOP(add_aes256_u64, AES256_ROUNDS, 8, 1)
CHUNK_LOOP(subtract_aes128_u16, AES128_ROUNDS, 2, -1)
CHUNK_LOOP(subtract_aes128_u32, AES128_ROUNDS, 4, -1)
CHUNK_LOOP(subtract_aes128_u64, AES128_ROUNDS, 8, -1)
CHUNK_LOOP(subtract_aes256_u16, AES256_ROUNDS, 2, -1)
CHUNK_LOOP(subtract_aes256_u32, AES256_ROUNDS, 4, -1)
CHUNK_LOOP(subtract_aes256_u64, AES256_ROUNDS, 8, -1)

CHUNK_LOOP(store_aes128, AES128_ROUNDS, 0, 0)
CHUNK_LOOP(store_aes256, AES256_ROUNDS, 0, 0)

/* By sign, key size and lane. */
static chunk_loop *const chunk_loops[2][2][3] = {
    {{subtract_aes128_u16, subtract_aes128_u32, subtract_aes128_u64},
     {subtract_aes256_u16, subtract_aes256_u32, subtract_aes256_u64}},
    {{add_aes128_u16, add_aes128_u32, add_aes128_u64},
     {add_aes256_u16, add_aes256_u32, add_aes256_u64}},
};

/* Part of one chunk: the bytes from `skip` on, `size` of them, by way of a whole chunk. */
static void apply_edge(struct work *work, chunk_loop *loop, uint8_t *total, size_t size,
                       vec counters, size_t skip)
{
    memset(work->edge, 0, CHUNK);
    memcpy(work->edge + skip, total, size);
    loop(work->edge, 1, counters, work->keys);
    memcpy(total, work->edge + skip, size);
}

/* One stream over one tile, whose first byte is number `start` of the stream. */
static void apply_stream(struct work *work, const struct secagg_mask_stream *stream,
                         uint8_t *total, size_t size, uint64_t start, unsigned lane_bytes)
{
    chunk_loop *loop =
        chunk_loops[stream->sign > 0][stream->key_size == 32][lane_bytes == 2   ? 0
                                                              : lane_bytes == 4 ? 1
                                                                                : 2];
    const size_t skip = start % BLOCK;
    /* start < 2^36, so the index fits. A chunk may run past the last block: the bytes of the
     * blocks after it are not used, and the index wraps without touching the iv. */
    uint32_t block = (uint32_t)(start / BLOCK);

    if (skip != 0) {
        const size_t taken = size < CHUNK - skip ? size : CHUNK - skip;
        apply_edge(work, loop, total, taken, first_counters(stream->iv, block), skip);
        total += taken;
        size -= taken;
        block += CHUNK_BLOCKS;
    }
    if (size >= CHUNK) {
        loop(total, size / CHUNK, first_counters(stream->iv, block), work->keys);
        total += size / CHUNK * CHUNK;
        block += (uint32_t)(size / CHUNK * CHUNK_BLOCKS);
        size %= CHUNK;
    }
    if (size != 0)
        apply_edge(work, loop, total, size, first_counters(stream->iv, block), 0);
}

void KERNEL(uint8_t *total, size_t size, uint64_t start, unsigned lane_bytes,
            const struct secagg_mask_stream *streams, size_t count)
{
    struct work work;
    /* Tiles end at multiples of TILE in the streams, not in the vector: then only the first one
     * can begin in the middle of a block. */
    while (size != 0) {
        const size_t rest = TILE - (size_t)(start % TILE);
        const size_t taken = size < rest ? size : rest;
        for (size_t i = 0; i < count; i++) {
            expand(&work, &streams[i]);
            apply_stream(&work, &streams[i], total, taken, start, lane_bytes);
        }
        total += taken;
        start += taken;
        size -= taken;
    }
    wipe(&work, sizeof work);
    vec_clear_registers();
}

void KEYSTREAM(uint8_t *out, size_t size, size_t passes, const struct secagg_mask_stream *stream)
{
    struct work work;
    expand(&work, stream);
    for (size_t pass = 0; pass < passes; pass++)
        (stream->key_size == 16 ? store_aes128 : store_aes256)(
            out, size / CHUNK, first_counters(stream->iv, (uint32_t)(pass * size / BLOCK)),
            work.keys);
    wipe(&work, sizeof work);
    vec_clear_registers();
}
