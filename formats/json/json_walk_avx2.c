/* The walker with 32-byte vectors. Compiled with AVX2 and BMI allowed; chosen only where the
 * processor has them. */
#include "formats/json/json_int.h"

#include <immintrin.h>
#include <string.h>

#define JSON_WALK_NAME json_walk_avx2
#define JSON_BLOCK     32

static inline uint32_t stop_mask(__m256i text)
{
    __m256i quotes = _mm256_cmpeq_epi8(text, _mm256_set1_epi8('"'));
    __m256i escapes = _mm256_cmpeq_epi8(text, _mm256_set1_epi8('\\'));
    __m256i controls = _mm256_cmpeq_epi8(_mm256_min_epu8(text, _mm256_set1_epi8(0x1F)), text);

    return (uint32_t)_mm256_movemask_epi8(
        _mm256_or_si256(_mm256_or_si256(quotes, escapes), controls));
}

static inline const uint8_t *scan_stop(const uint8_t *at, bool *high)
{
    for (;;) {
        __m256i text = _mm256_loadu_si256((const __m256i *)at);
        uint32_t stops = stop_mask(text), highs = (uint32_t)_mm256_movemask_epi8(text);
        if (stops != 0) {
            *high |= (highs & ((stops & -stops) - 1)) != 0;
            return at + __builtin_ctz(stops);
        }
        *high |= highs != 0;
        at += 32;
    }
}

static inline void scan_block(const uint8_t *at, uint8_t *out, uint64_t *ret_stops,
                              uint64_t *ret_highs)
{
    __m256i text = _mm256_loadu_si256((const __m256i *)at);

    _mm256_storeu_si256((__m256i *)out, text);
    *ret_stops = stop_mask(text);
    *ret_highs = (uint32_t)_mm256_movemask_epi8(text);
}

#include "formats/json/json_walk_tmpl.h"
