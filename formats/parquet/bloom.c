/* Split-block bloom filters. Spec: parquet-format BloomFilter.md. */
#include "formats/parquet/parquet_int.h"

#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define BLOCK_SIZE 32
/* Bits a value for one false answer in a hundred: -8 / ln(1 - 0.01^(1/8)). */
#define BITS_PER_VALUE_TENTHS 97

static const uint32_t salts[8] = {0x47b6137bu, 0x44974d91u, 0x8824ad5bu, 0xa2b7289du,
                                  0x705495c7u, 0x2df1424bu, 0x9efc4947u, 0x5c6bfb31u};

size_t parquet_bloom_size(uint64_t different)
{
    size_t size = BLOCK_SIZE;
    while (size < PARQUET_BLOOM_MAX && (uint64_t)size * 80 < different * BITS_PER_VALUE_TENTHS)
        size *= 2;
    return size;
}

uint64_t parquet_bloom_hash(const void *data, size_t size)
{
    return XXH64(data, size, 0);
}

static size_t block_of(size_t size, uint64_t hash)
{
    return (size_t)((hash >> 32) * (size / BLOCK_SIZE) >> 32) * BLOCK_SIZE;
}

void parquet_bloom_add(uint8_t *filter, size_t size, uint64_t hash)
{
    uint8_t *block = filter + block_of(size, hash);
    for (int i = 0; i < 8; i++) {
        uint32_t word, key = (uint32_t)hash * salts[i];
        memcpy(&word, block + 4 * i, 4);
        word |= 1u << (key >> 27);
        memcpy(block + 4 * i, &word, 4);
    }
}

bool parquet_bloom_has(const uint8_t *filter, size_t size, uint64_t hash)
{
    const uint8_t *block = filter + block_of(size, hash);
    for (int i = 0; i < 8; i++) {
        uint32_t word, key = (uint32_t)hash * salts[i];
        memcpy(&word, block + 4 * i, 4);
        if (!(word >> (key >> 27) & 1))
            return false;
    }
    return true;
}
