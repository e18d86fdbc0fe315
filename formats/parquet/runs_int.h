/* Bits to numbers, a piece at a time: the RLE / bit-packing hybrid and deltas, for input that may
 * be damaged. Spec: Encodings.md. */
#ifndef WEIR_FORMATS_PARQUET_RUNS_INT_H
#define WEIR_FORMATS_PARQUET_RUNS_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A position in the hybrid. Every read is within [data, data + size) given at the opening; false
 * means damaged or at its end. */
struct parquet_runs {
    const uint8_t *at, *end; /* next run's head */
    unsigned width;          /* bits a value, 0..32 */
    uint64_t left;           /* values left of the current run */
    uint32_t value;          /* of a repeated run */
    const uint8_t *packed;   /* NULL: the run repeats `value` */
    uint64_t packed_at;      /* next value of a packed run */
};

void parquet_runs_open(struct parquet_runs *runs, const uint8_t *data, size_t size, unsigned width);
/* Bare packed values, without heads: the whole is one run. */
void parquet_runs_packed(struct parquet_runs *runs, const uint8_t *data, size_t size,
                         unsigned width, uint64_t count);
bool parquet_runs_read32(struct parquet_runs *runs, uint32_t *values, size_t count);
bool parquet_runs_read8(struct parquet_runs *runs, uint8_t *values, size_t count);
/* Width 1: ORs the bits into bits[at...), which are zero and may be written up to 16 bytes behind;
 * *ret_ones = how many are set. */
bool parquet_runs_bits(struct parquet_runs *runs, uint8_t *bits, size_t at, size_t count,
                       size_t *ret_ones);
/* Whether the next `count` values all are `value`, by the current run alone; takes them if so. */
bool parquet_runs_same(struct parquet_runs *runs, uint32_t value, size_t count);
/* Passes over values; *ret_matches (may be NULL) = how many were `value`. */
bool parquet_runs_skip(struct parquet_runs *runs, size_t count, uint32_t value,
                       size_t *ret_matches);

/* Copies `count` bits; `to` as in parquet_runs_bits, `from` is not read at or behind `end`. Returns
 * how many are set. */
size_t parquet_bits_copy(uint8_t *to, size_t to_at, const uint8_t *from, const uint8_t *end,
                         size_t from_at, size_t count);
void parquet_bits_fill(uint8_t *to, size_t at, size_t count);

/* Values [at, at + count) of a packed run; the caller knows that they lie before `end`. */
void parquet_unpack32(const uint8_t *packed, const uint8_t *end, uint64_t at, unsigned width,
                      uint32_t *values, size_t count);

/* How many integers a delta stream holds; false if it says more than `most`. */
bool parquet_delta_count(const uint8_t *data, size_t size, size_t most, size_t *ret_count);
/* All of them, as int32 or int64 (wrapping, as the format wants); *ret_used = bytes taken. */
bool parquet_delta_read(const uint8_t *data, size_t size, void *values, bool wide, size_t count,
                        size_t *ret_used);

#endif
