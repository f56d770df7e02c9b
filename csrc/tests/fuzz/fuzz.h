/* What the fuzz targets of the core share: a reader of their input, exact buffers, expectations.
 *
 * Each target turns any bytes into arguments that secagg.h allows, calls its functions at every
 * level that the CPU has, and compares them with the obvious way to compute the same. */
#ifndef SECAGG_TESTS_FUZZ_H
#define SECAGG_TESTS_FUZZ_H

#include "secagg.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define EXPECT(condition)                                                                         \
    do {                                                                                          \
        if (!(condition)) {                                                                       \
            fprintf(stderr, "%s:%d: level %s: expected %s\n", __FILE__, __LINE__,                 \
                    secagg_cpu_selected(), #condition);                                           \
            abort();                                                                              \
        }                                                                                         \
    } while (0)

static const char *const levels[] = {"portable", "aesni", "vaes", "armv8"};

/* For each level that can run here, with `level` its number; 0 is portable. */
#define EVERY_LEVEL(level)                                                                        \
    for (size_t level = 0; level < sizeof levels / sizeof *levels; level++)                       \
        if (secagg_cpu_supported(levels[level]) && secagg_cpu_select(levels[level]) == SECAGG_OK)

/* What is left of an input; behind its end there are zeros. */
struct input {
    const uint8_t *data;
    size_t size;
};

static inline void take(struct input *input, void *to, size_t size)
{
    const size_t there = size < input->size ? size : input->size;
    if (there != 0)
        memcpy(to, input->data, there);
    if (size != there)
        memset((uint8_t *)to + there, 0, size - there);
    input->data += there;
    input->size -= there;
}

static inline uint64_t number(struct input *input, size_t bytes)
{
    uint64_t value = 0;
    take(input, &value, bytes);
    return value;
}

/* Exactly `size` bytes on the heap, so that the sanitizer sees the first byte too many. */
static inline void *room(size_t size)
{
    void *buffer = malloc(size);
    if (buffer == NULL && size != 0)
        abort();
    return buffer;
}

static inline void *taken(struct input *input, size_t size)
{
    void *buffer = room(size);
    take(input, buffer, size);
    return buffer;
}

static inline void *copied(const void *from, size_t size)
{
    void *buffer = room(size);
    if (size != 0)
        memcpy(buffer, from, size);
    return buffer;
}

static inline bool same(const void *one, const void *other, size_t size)
{
    return size == 0 || memcmp(one, other, size) == 0;
}

static inline bool all_zero(const void *buffer, size_t size)
{
    const uint8_t *bytes = buffer;
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

static inline uint64_t low_bits(unsigned bits)
{
    return bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
}

static inline size_t packed_size(size_t length, unsigned bits)
{
    return (length * bits + 7) / 8;
}

/* A stream, most often one that is allowed. */
static inline struct secagg_mask_stream stream_of(struct input *input)
{
    struct secagg_mask_stream stream;
    memset(&stream, 0, sizeof stream);
    const unsigned kind = (unsigned)number(input, 1);
    take(input, stream.key, 4);
    take(input, stream.iv, 4);
    stream.key_size = (kind & 1) != 0 ? 16 : 32;
    stream.sign = (kind & 2) != 0 ? -1 : 1;
    if ((kind & 0x3c) == 0x3c) {
        stream.key_size = (uint8_t)number(input, 1);
        stream.sign = (int8_t)number(input, 1);
    }
    return stream;
}

static inline bool allowed(const struct secagg_mask_stream *stream)
{
    return (stream->key_size == 16 || stream->key_size == 32) &&
           (stream->sign == 1 || stream->sign == -1);
}

/* Whether elements offset..offset+length-1 lie within 2^32 blocks of 16 bytes. */
static inline bool within_stream(uint64_t offset, size_t length, unsigned lane_bytes)
{
    const uint64_t most = (UINT64_C(1) << 36) / lane_bytes;
    return offset <= most && length <= most - offset;
}

/* Small, at the end of a stream, or anything. */
static inline uint64_t offset_of(struct input *input, unsigned lane_bytes)
{
    switch (number(input, 1) % 4) {
    case 0:
        return number(input, 8);
    case 1:
        return (UINT64_C(1) << 36) / lane_bytes - number(input, 1);
    default:
        return number(input, 2);
    }
}

#endif
