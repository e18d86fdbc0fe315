/* CSV to columns. RFC 4180, and what people write besides: other delimiters, quotes and escapes,
 * with or without a header. Semantics in README.md.
 *
 * A file goes through three steps: sniff a sample (the dialect and a schema), cut its bytes into
 * records, decode records to columns of declared types. Records that do not fit are refused one by
 * one. */
#ifndef WEIR_FORMATS_CSV_CSV_H
#define WEIR_FORMATS_CSV_CSV_H

#include "engine/base/context.h"
#include "engine/vec/decode.h"

#define WEIR_CSV_SAMPLE_SIZE (1u << 20) /* bytes that are worth giving to sniff */

/* How a file is written. As options of sniff: 0 (header: -1, null_text: NULL) = find out. */
struct weir_csv_dialect {
    char delimiter;        /* ',' */
    char quote;            /* '"' */
    char escape;           /* before a quote within quotes: the quote itself, or '\\' */
    char newline;          /* '\n' (a '\r' before it belongs to it), or '\r' alone */
    int header;            /* 1: the first record holds the names */
    const char *null_text; /* an unquoted field that is this is null; "" unless given */
    uint32_t column_count; /* fields of each record */
};

/* Finds out what `given` leaves open, from the beginning of a file (whole: all of it). Columns are
 * named by the header, or column0, column1, ...; types are those that hold every value of the
 * sample: boolean, long, double, date, timestamp, timestamptz, else string. Everything returned
 * lives in the arena. USAGE if there is no record at all, or too many columns. */
weir_status weir_csv_sniff(struct weir_arena *arena, const uint8_t *data, size_t size, bool whole,
                           const struct weir_csv_dialect *given,
                           struct weir_csv_dialect *ret_dialect, struct weir_type *ret_schema,
                           struct weir_error *reterr) WEIR_MUST_CHECK;

/* Bytes of a byte order mark at the beginning of a file: 3 or 0. */
size_t weir_csv_mark_size(const uint8_t *data, size_t size);

/* Cuts data into records without their line ends; empty lines are left out (of a file of one
 * column they are records). Returns how many, at most `most`; *ret_used: bytes that these records
 * take. last: the data is the file's end, what is left is a record too (even if a quote is still
 * open); else an incomplete record is not given, *ret_used = 0 when even the first is. */
uint32_t weir_csv_split(const struct weir_csv_dialect *dialect, const uint8_t *data, size_t size,
                        bool last, struct weir_bytes *ret_records, uint32_t most, size_t *ret_used);

/* The texts of a record's fields, the names of a header, in the arena. CORRUPT: it is none (a quote
 * left open, text behind one), or a text that is no UTF-8 or holds a NUL. UNSUPPORTED: more than
 * WEIR_SCHEMA_FIELDS_MAX. */
weir_status weir_csv_names(struct weir_arena *arena, const struct weir_csv_dialect *dialect,
                           struct weir_bytes record, const char ***ret_names, uint32_t *ret_count,
                           struct weir_error *reterr) WEIR_MUST_CHECK;

#define WEIR_CSV_NO_FIELD UINT32_MAX /* of a column that records do not have: it is null */

struct weir_csv_decoder;

/* `schema`: the columns wanted, a STRUCT of primitive types; fields[i]: the number of the field in
 * a record that column i is read from, or WEIR_CSV_NO_FIELD (NULL: i). `schema` outlives the
 * decoder. USAGE: a nested column,
 * or a field that is not there. One thread at a time. */
weir_status weir_csv_decoder_new(struct weir_account *account, const struct weir_type *schema,
                                 const uint32_t *fields, const struct weir_csv_dialect *dialect,
                                 struct weir_csv_decoder **ret_decoder,
                                 struct weir_error *reterr) WEIR_MUST_CHECK;
void weir_csv_decoder_free(struct weir_csv_decoder *decoder); /* NULL-safe */

/* Decodes records[0..count) into one batch. Never fails for what a record holds: that is a refusal.
 * Fails for memory (NO_MEMORY), or USAGE if the records together are more than 512 MiB. Everything
 * returned lives in `arena`; nothing points into the records. */
weir_status weir_csv_decode(struct weir_csv_decoder *decoder, const struct weir_bytes *records,
                            uint32_t count, struct weir_arena *arena,
                            struct weir_decoded *ret_decoded,
                            struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
