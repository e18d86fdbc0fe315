/* Parquet: batches to bytes and back. Spec: apache/parquet-format (parquet.thrift, Encodings,
 * LogicalTypes, PageIndex, BloomFilter).
 *
 * Writer: rows arrive as batches and are buffered, decoded, until a row group is full; a row
 * group's columns are then encoded in parallel, and its bytes handed to the sink. The file's bytes
 * are a pure function of the rows, the schema and the options: not of time, threads, batch cuts or
 * memory. */
#ifndef WEIR_FORMATS_PARQUET_PARQUET_H
#define WEIR_FORMATS_PARQUET_PARQUET_H

#include "engine/base/context.h"
#include "engine/vec/vector.h"
#include "formats/codec/codec.h"

struct weir_parquet_options {
    enum weir_codec codec;
    int codec_level;         /* zstd: 1..22, 0 = 3 */
    uint64_t row_group_size; /* decoded bytes (weir_vector_bytes), 0 = 64 MiB */
    uint64_t page_size;      /* decoded bytes of a page, 0 = 1 MiB; pages also end at 20,000 rows */
    const int32_t *bloom_ids; /* field ids of leaves that get a bloom filter */
    size_t bloom_count;
    const int32_t
        *no_bounds_ids; /* leaves whose statistics must not be written (personal columns) */
    size_t no_bounds_count;
    const char *created_by;          /* "weir version 0.1.0" */
    const char *iceberg_schema_json; /* footer key iceberg.schema, or NULL */
};

/* Where the bytes go; called in order from one thread. */
struct weir_parquet_sink {
    weir_status (*write)(void *self, const void *data, size_t size, struct weir_error *reterr);
    void *self;
};

/* Bounds and counts of one leaf over the whole file, as Iceberg's manifests want them (single-value
 * binary serialisation, Iceberg spec Appendix D; strings and binary cut to 16 characters/bytes, the
 * upper bound then rounded up; none for NaN-only). */
struct weir_parquet_leaf {
    int32_t field_id;
    uint64_t column_size; /* compressed bytes, page headers included */
    uint64_t value_count; /* nulls and values, repeated ones counted */
    uint64_t null_count;
    uint64_t nan_count; /* float, double */
    bool has_nan_count;
    struct weir_bytes lower, upper; /* data NULL = none; valid until the writer is freed */
};

struct weir_parquet_result {
    uint64_t row_count, file_size;
    const int64_t *split_offsets; /* start of each row group */
    size_t split_count;
    const struct weir_parquet_leaf *leaves;
    size_t leaf_count;
};

struct weir_parquet_writer;

/* schema: STRUCT with field ids everywhere; must outlive the writer, as must what options point to.
 */
weir_status weir_parquet_writer_new(struct weir_context *context, struct weir_account *account,
                                    const struct weir_type *schema,
                                    const struct weir_parquet_options *options,
                                    struct weir_parquet_sink sink,
                                    struct weir_parquet_writer **ret_writer,
                                    struct weir_error *reterr) WEIR_MUST_CHECK;
/* Copies what it needs; the batch (its type equal to the schema) may be released on return.
 * selection NULL = all rows. May flush a row group. A row group ends after the row that reaches
 * row_group_size, wherever batches end. */
weir_status weir_parquet_writer_add(struct weir_parquet_writer *writer,
                                    const struct weir_batch *batch,
                                    const struct weir_selection *selection,
                                    struct weir_error *reterr) WEIR_MUST_CHECK;
/* Decoded bytes buffered and not yet flushed; bytes handed to the sink so far. */
uint64_t weir_parquet_writer_buffered(const struct weir_parquet_writer *writer);
uint64_t weir_parquet_writer_written(const struct weir_parquet_writer *writer);
/* Flushes, writes indexes, bloom filters and footer. The result lives in the writer. After any
 * failure of add or finish only free works. */
weir_status weir_parquet_writer_finish(struct weir_parquet_writer *writer,
                                       struct weir_parquet_result *ret_result,
                                       struct weir_error *reterr) WEIR_MUST_CHECK;
void weir_parquet_writer_free(struct weir_parquet_writer *writer); /* NULL-safe; without finish the
                                                                      bytes so far are no file */

/* Reader of whole files in memory or by ranged reads through `read`. For now it reads what the
 * writer writes (any codec, flat and nested), for quarantine, verify and tests; issue 4 widens it.
 * Columns are resolved by field id. */
struct weir_parquet_source {
    weir_status (*read)(void *self, uint64_t offset, uint64_t size, struct weir_buffer *out,
                        struct weir_error *reterr);
    void *self;
    uint64_t size;
    const char
        *name; /* for errors of a table's files; NULL = none; files that are opened copy it */
};
struct weir_parquet_reader;
/* wanted: STRUCT with ids; a column the file lacks reads as null. */
weir_status weir_parquet_reader_new(struct weir_account *account, struct weir_parquet_source source,
                                    const struct weir_type *wanted,
                                    struct weir_parquet_reader **ret_reader,
                                    struct weir_error *reterr) WEIR_MUST_CHECK;
uint64_t weir_parquet_reader_rows(const struct weir_parquet_reader *reader);
/* Next batch of at most max_rows rows in the arena; count 0 at the end. */
weir_status weir_parquet_reader_next(struct weir_parquet_reader *reader, uint32_t max_rows,
                                     struct weir_arena *arena, struct weir_batch *ret_batch,
                                     struct weir_error *reterr) WEIR_MUST_CHECK;
void weir_parquet_reader_free(struct weir_parquet_reader *reader);

#endif
