/* Text <-> numbers, times, hex, base64, UTF-8: exact, locale-free, no allocation. Times follow ISO
 * 8601 as JSON senders write it; numbers follow RFC 8259. Every parser takes (text, size) and needs
 * no NUL; reads nothing beyond size. */
#ifndef WEIR_ENGINE_BASE_TEXT_H
#define WEIR_ENGINE_BASE_TEXT_H

#include "engine/base/memory.h"

typedef __int128 weir_int128;

/* Whole text must match. Return false on wrong form or out of range; *ret untouched then. */
bool weir_text_int64(const char *text, size_t size, int64_t *ret_value); /* -?digits */
bool weir_text_double(
    const char *text, size_t size,
    double *ret_value); /* RFC 8259 number, correctly rounded (Eisel-Lemire, big fallback) */
bool weir_text_float(const char *text, size_t size, float *ret_value); /* the same, rounded once */
/* RFC 8259 number as integer when it is exactly one: 1.0, 1e3, 12.50e1; not 1.5. */
bool weir_text_exact_int64(const char *text, size_t size, int64_t *ret_value);
/* RFC 8259 number to unscaled value at `scale`, exact: digits beyond the scale must be zero;
 * |unscaled| < 10^precision. */
bool weir_text_decimal(const char *text, size_t size, int precision, int scale,
                       weir_int128 *ret_unscaled);
bool weir_text_date(const char *text, size_t size, int32_t *ret_days); /* YYYY-MM-DD */
bool weir_text_time(const char *text, size_t size,
                    int64_t *ret_micros); /* HH:MM:SS[.f+]; digits beyond microseconds are cut */
bool weir_text_timestamp(const char *text, size_t size,
                         int64_t *ret_micros); /* date T or space time, no offset */
bool weir_text_timestamptz(const char *text, size_t size,
                           int64_t *ret_micros); /* the same with Z, +HH:MM, +HHMM, +HH: required */
bool weir_text_uuid(const char *text, size_t size, uint8_t ret_bytes[16]);
/* Durations and sizes of the pipeline file: 30d 15m 4s 500ms 1h30m; 64MiB 1GB 512 (bytes). */
bool weir_text_duration_ms(const char *text, size_t size, int64_t *ret_ms);
bool weir_text_size(const char *text, size_t size, uint64_t *ret_bytes);

/* Printing: return the length written without NUL; buffers as large as said always suffice. */
size_t weir_print_int64(char *out /* 21 */, int64_t value);
size_t weir_print_float(char *out /* 32 */, float value); /* shortest that reads back as a float */
size_t weir_print_double(char *out /* 32 */,
                         double value); /* shortest that reads back; nan, inf, -inf */
size_t weir_print_decimal(char *out /* 48 */, weir_int128 unscaled, int scale);
size_t weir_print_date(char *out /* 24 */, int32_t days);
size_t weir_print_time(char *out /* 24 */, int64_t micros);
size_t weir_print_timestamp(
    char *out /* 40 */,
    int64_t micros); /* 2026-11-23T10:00:00.123456 (fraction only if not zero) */
size_t weir_print_timestamptz(char *out /* 40 */, int64_t micros); /* ...+00:00 written as Z */
size_t weir_print_uuid(char *out /* 37 */, const uint8_t bytes[16]);
size_t weir_print_size(char *out /* 32 */, uint64_t bytes); /* 1.5 MiB */

void weir_print_hex(char *out /* 2*size+1 */, const void *bytes,
                    size_t size);     /* lower case, NUL behind */
size_t weir_base64_size(size_t size); /* of the encoded text */
size_t weir_base64_encode(char *out, const void *bytes, size_t size);
/* RFC 4648 with padding, or none at all; out has room for size/4*3+3. false: not base64. */
bool weir_base64_decode(const char *text, size_t size, uint8_t *out, size_t *ret_size);

/* Position of the first byte that is not valid UTF-8 (surrogates and overlong forms are not), or
 * size. */
size_t weir_utf8_invalid(const uint8_t *text, size_t size);

/* Civil days <-> years, for transforms: days since 1970-01-01. */
void weir_days_to_civil(int64_t days, int64_t *ret_year, unsigned *ret_month, unsigned *ret_day);
int64_t weir_days_from_civil(int64_t year, unsigned month, unsigned day);

/* Edits (insert, delete, replace, swap) between two names, for "did you mean". */
size_t weir_text_distance(const char *a, const char *b);

#endif
