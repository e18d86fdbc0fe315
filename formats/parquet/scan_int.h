/* What the sources of the scan reader share: files, how stored values become Weir's, leaves read
 * page by page. */
#ifndef WEIR_FORMATS_PARQUET_SCAN_INT_H
#define WEIR_FORMATS_PARQUET_SCAN_INT_H

#include "engine/base/text.h"
#include "formats/parquet/reader_int.h"
#include "formats/parquet/runs_int.h"
#include "formats/parquet/scan.h"

struct weir_parquet_file {
    struct weir_account *account;
    struct weir_parquet_source source;
    struct weir_arena arena; /* metadata and type */
    struct weir_buffer footer;
    struct file_meta meta;
    struct weir_type type;
};

/* Exactly `size` bytes at `offset`, appended. */
weir_status parquet_read_exactly(const struct weir_parquet_source *source, uint64_t offset,
                                 uint64_t size, struct weir_buffer *out,
                                 struct weir_error *reterr) WEIR_MUST_CHECK;

/* ---- types
 * --------------------------------------------------------------------------------------------- */

/* How a stored value becomes one of Weir's. */
enum parquet_conversion {
    CONVERT_NONE,    /* the same bytes */
    CONVERT_BOOLEAN, /* bits */
    CONVERT_STRING,  /* bytes that must be UTF-8 */
    CONVERT_BINARY,
    CONVERT_INT_LONG,
    CONVERT_UINT_LONG,
    CONVERT_INT_DECIMAL,
    CONVERT_LONG_DECIMAL,
    CONVERT_ULONG_DECIMAL,
    CONVERT_FIXED_DECIMAL, /* big endian two's complement */
    CONVERT_BYTES_DECIMAL,
    CONVERT_FLOAT_DOUBLE,
    CONVERT_HALF_FLOAT,
    CONVERT_HALF_DOUBLE,
    CONVERT_INT96,
    CONVERT_INT_MILLIS,  /* int32 milliseconds */
    CONVERT_LONG_MILLIS, /* int64 milliseconds */
    CONVERT_NANOS,
    CONVERT_DAYS_MICROS, /* a date read as timestamp */
    CONVERT_IMPOSSIBLE
};
enum parquet_conversion parquet_conversion_of(const struct file_node *node,
                                              const struct weir_type *type);
/* Bytes of one stored value; 0 = BYTE_ARRAY, 1 = BOOLEAN. */
uint32_t parquet_stored_width(const struct file_node *node);

/* Where a list's or map's contents lie below its node. */
struct parquet_repeated {
    const struct file_node *group;       /* the repeated node: its definition level has elements */
    const struct file_node *element;     /* lists; the group itself when it is the element */
    const struct file_node *key, *value; /* maps */
};
enum parquet_shape {
    PARQUET_SHAPE_LEAF,
    PARQUET_SHAPE_STRUCT,
    PARQUET_SHAPE_LIST,
    PARQUET_SHAPE_MAP
};
/* What a node means. A repeated node that no list or map owns is a list of itself; `owned` says
 * that it is looked at as an element. */
enum parquet_shape parquet_shape_of(const struct file_meta *meta, const struct file_node *node,
                                    bool owned, struct parquet_repeated *ret_repeated);
/* The schema as a STRUCT type in the arena. */
weir_status parquet_type_make(struct weir_arena *arena, const struct file_meta *meta,
                              struct weir_type *ret_type,
                              struct weir_error *reterr) WEIR_MUST_CHECK;

/* ---- pages
 * --------------------------------------------------------------------------------------------- */

struct parquet_page_header {
    int32_t type, plain_size, packed_size, value_count, encoding;
    int32_t definition_encoding, repetition_encoding;    /* version 1 */
    int32_t definition_size, repetition_size, row_count; /* version 2; row_count -1 = not said */
    uint32_t crc;
    bool has_crc, packed;
};
/* *ret_fault: what is wrong; *ret_cut tells that more bytes may mend it. */
bool parquet_page_header_parse(const uint8_t *data, size_t size,
                               struct parquet_page_header *ret_header, size_t *ret_used,
                               const char **ret_fault, bool *ret_cut);
bool parquet_codec_of(int32_t codec, enum weir_codec *ret_codec, bool *ret_hadoop);

/* ---- leaves
 * -------------------------------------------------------------------------------------------- */

/* How the values of the page at hand are read. */
enum parquet_values {
    VALUES_NONE, /* only levels are wanted */
    VALUES_FIXED,
    VALUES_BITS,    /* booleans, plain */
    VALUES_RUNS,    /* booleans, run lengths */
    VALUES_LENGTHS, /* strings with their length in front */
    VALUES_ENDS,    /* strings of known ends */
    VALUES_INDEX    /* indices into the dictionary */
};

/* Memory that goes from one cursor to the next: fresh pages of the system cost more than many a
 * column. One cursor at a time. */
#define PARQUET_KIT_BUFFERS 7
struct parquet_kit {
    struct parquet_kit *next;
    struct weir_account *account;
    struct weir_decompressor *decompressor;
    struct weir_buffer (*leaves)[PARQUET_KIT_BUFFERS]; /* by file leaf */
    struct weir_buffer *fetched;                       /* ranges fetched: at most one a leaf */
    uint32_t leaf_count;                               /* room in both */
};
weir_status parquet_kit_new(struct weir_account *account, uint32_t leaf_count,
                            struct parquet_kit **ret_kit,
                            struct weir_error *reterr) WEIR_MUST_CHECK;
void parquet_kit_free(struct parquet_kit *kit); /* NULL-safe */

/* Rows of a group. */
struct parquet_rows {
    uint64_t from, to;
};
/* Pages of a chunk, by its offset index. */
struct parquet_location {
    uint64_t offset, first_row;
    uint32_t size;
};

/* A column chunk, read front to back. */
struct parquet_leaf_reader {
    struct weir_account *account;
    struct weir_decompressor *decompressor; /* shared by the cursor's leaves */
    const struct weir_parquet_source *source;
    const struct file_chunk *chunk;
    const struct file_node *node;
    uint32_t column;              /* file leaf */
    const struct weir_type *type; /* NULL: only levels */
    enum parquet_conversion conversion;
    uint32_t stored_width, width; /* of a stored value; of Weir's (0: strings; 1: booleans) */
    enum weir_codec codec;
    bool hadoop; /* the old LZ4 */

    uint64_t start, size;  /* of the chunk in the file */
    const uint8_t *window; /* bytes of the chunk at hand */
    uint64_t window_at, window_size;
    struct weir_buffer window_buffer; /* where the leaf fetches for itself */
    uint64_t read_ahead;
    uint64_t bytes_read; /* of the chunk, so far */
    /* Where its pages lie, if rows are wanted here and there only; not of repeated leaves. */
    const struct parquet_location *locations;
    size_t location_count, next_location;
    uint64_t at;          /* next page's header, in the chunk */
    uint64_t levels_seen; /* of pages come to */
    uint64_t skip;        /* rows to pass over before the next read; not of repeated leaves */

    uint64_t page_offset; /* in the file, for messages */
    uint32_t page_left;   /* levels */
    uint32_t page_at;     /* repeated leaves: slots taken */
    struct parquet_runs definition;
    struct weir_buffer repetition; /* repeated leaves: levels of the page */
    struct weir_buffer page;       /* decompressed */
    struct weir_buffer scratch;    /* values of the page decoded, strings' bytes */
    struct weir_buffer ends;       /* VALUES_ENDS: uint32 */
    struct weir_buffer levels;     /* bit-packed levels, bits turned */
    struct weir_buffer dense;      /* values before nulls part them */
    enum parquet_values mode;
    const uint8_t *values, *values_end; /* FIXED, BITS, LENGTHS; bytes of ENDS */
    uint64_t value_at, value_count;     /* BITS, ENDS: position and end */
    struct parquet_runs indices;        /* RUNS, INDEX */

    bool has_dictionary;
    uint32_t dictionary_count;
    struct weir_arena dictionary_arena;
    struct weir_vector dictionary; /* flat, of `type` */

    struct weir_scan_counters *counters;
    struct weir_error *reterr;
};

weir_status parquet_leaf_open(struct parquet_leaf_reader *leaf,
                              const struct weir_parquet_file *file, size_t group, uint32_t column,
                              const struct weir_type *type, struct parquet_kit *kit,
                              struct weir_error *reterr) WEIR_MUST_CHECK;
/* The buffers go into the kit that they came from. */
void parquet_leaf_done(struct parquet_leaf_reader *leaf, struct parquet_kit *kit);
/* CORRUPT with column and page. */
weir_status parquet_leaf_damaged(const struct parquet_leaf_reader *leaf, const char *what);
/* Comes to a page that has levels left; *ret_end at the chunk's end. Whole pages are passed over
 * while `*skip` allows (NULL: none), which then says how many rows remain to skip. */
weir_status parquet_leaf_page(struct parquet_leaf_reader *leaf, uint64_t *skip, bool *ret_end);

/* Stored fixed-width values to Weir's; false if one does not fit. */
bool parquet_convert(enum parquet_conversion conversion, const uint8_t *stored,
                     uint32_t stored_width, uint8_t *to, size_t count);

/* Big endian two's complement of any size; false if it needs more than 16 bytes. */
bool parquet_decimal_from_bytes(struct weir_bytes bytes, weir_int128 *ret_value);

/* ---- values
 * --------------------------------------------------------------------------------------------
 */

/* A vector being filled with rows of a leaf. */
struct parquet_output {
    struct weir_arena *arena;
    struct weir_vector *vector;
    uint32_t capacity;
    size_t bytes_capacity; /* strings */
};
/* An empty vector with room for `capacity` rows. */
weir_status parquet_output_open(struct parquet_output *output, struct weir_arena *arena,
                                const struct parquet_leaf_reader *leaf, uint32_t capacity,
                                struct weir_vector *vector,
                                struct weir_error *reterr) WEIR_MUST_CHECK;
/* Appends the next `count` rows of a leaf that is not repeated and whose greatest definition level
 * is 0 or 1. */
weir_status parquet_leaf_append(struct parquet_leaf_reader *leaf, struct parquet_output *output,
                                uint32_t count) WEIR_MUST_CHECK;
/* Appends `count` values of the page at hand: they are there, without levels. */
weir_status parquet_leaf_dense(struct parquet_leaf_reader *leaf, struct parquet_output *output,
                               uint32_t count) WEIR_MUST_CHECK;
weir_status parquet_values_skip(struct parquet_leaf_reader *leaf, uint64_t count) WEIR_MUST_CHECK;
/* Ends the vector: strings of a dictionary made flat if `flat`, null counts. */
weir_status parquet_output_close(struct parquet_leaf_reader *leaf, struct parquet_output *output,
                                 bool flat) WEIR_MUST_CHECK;

/* Levels of the next `rows` rows and their values, dense; for nested columns. */
struct parquet_taken {
    const uint8_t *definition, *repetition; /* NULL: none */
    size_t count;
    struct weir_vector values; /* flat, without nulls */
};
weir_status parquet_leaf_take(struct parquet_leaf_reader *leaf, struct weir_arena *arena,
                              uint64_t rows, struct parquet_taken *ret_taken) WEIR_MUST_CHECK;

/* Parts dense values by the nulls that `vector` (type, count, validity, null_count) already has. */
weir_status parquet_spread(struct weir_arena *arena, const struct weir_vector *dense,
                           struct weir_vector *vector, struct weir_error *reterr) WEIR_MUST_CHECK;

/* ---- plans
 * ---------------------------------------------------------------------------------------------
 */

#define PARQUET_NO_LEAF UINT32_MAX

/* A node of the wanted type: where in the file its rows and values come from. */
struct parquet_plan {
    const struct weir_type *type;
    uint32_t leaf;      /* file leaf whose levels tell its rows; PARQUET_NO_LEAF: not in the file */
    bool position;      /* the row's number */
    uint8_t definition; /* level from which the node is not null */
    uint8_t repeated;   /* repeated nodes above it */
    uint8_t repeated_definition; /* level from which the innermost of them has an element */
    struct parquet_plan *children;
};

/* Plans of the columns of `wanted`; targets[file leaf] = type its values become, NULL: not read;
 * levels[file leaf]: read, be it for its levels only. Both have room for every leaf, zeroed. */
weir_status parquet_plan_make(struct weir_arena *arena, const struct file_meta *meta,
                              const struct weir_type *wanted, const struct weir_type *names,
                              struct parquet_plan **ret_columns, const struct weir_type **targets,
                              bool *levels, struct weir_error *reterr) WEIR_MUST_CHECK;
/* A column's rows out of levels and values taken; taken[file leaf]. */
weir_status parquet_assemble(struct weir_arena *arena, const struct parquet_plan *plan,
                             const struct parquet_taken *taken, uint32_t rows,
                             struct weir_vector *ret_vector,
                             struct weir_error *reterr) WEIR_MUST_CHECK;
/* `count` nulls: constant, or flat where nested. */
weir_status parquet_nulls(struct weir_arena *arena, const struct weir_type *type, uint32_t count,
                          struct weir_vector *ret_vector,
                          struct weir_error *reterr) WEIR_MUST_CHECK;

/* As weir_parquet_cursor_open, of some rows of the group and with memory of the caller's. */
weir_status parquet_cursor_open(struct weir_account *account, const struct weir_parquet_file *file,
                                size_t group, struct parquet_rows piece,
                                const struct weir_parquet_read *read, struct parquet_kit *kit,
                                struct weir_parquet_cursor **ret_cursor,
                                struct weir_error *reterr) WEIR_MUST_CHECK;
/* Rows a batch from now on. */
void parquet_cursor_batch(struct weir_parquet_cursor *cursor, uint32_t rows);

/* ---- pruning
 * -------------------------------------------------------------------------------------------
 */

weir_status parquet_locations_read(const struct weir_parquet_file *file, size_t group,
                                   uint32_t column, struct weir_arena *arena,
                                   struct parquet_location **ret_locations, size_t *ret_count,
                                   struct weir_error *reterr) WEIR_MUST_CHECK;
/* Bounds of a leaf as one-row vectors of `type`. */
weir_status parquet_statistics_make(const struct weir_parquet_file *file, size_t group,
                                    uint32_t column, const struct weir_type *type,
                                    struct weir_arena *arena,
                                    struct weir_parquet_statistics *ret_statistics,
                                    struct weir_error *reterr) WEIR_MUST_CHECK;
/* Order of two one-row vectors of one primitive type, neither null. */
int parquet_value_compare(const struct weir_vector *a, const struct weir_vector *b);
/* Whether the file can be read so. */
weir_status parquet_read_check(struct weir_arena *arena, const struct weir_parquet_file *file,
                               const struct weir_parquet_read *read,
                               struct weir_error *reterr) WEIR_MUST_CHECK;
/* By statistics; by bloom filters (which are read). */
bool parquet_group_excluded(const struct weir_parquet_file *file, size_t group,
                            const struct weir_parquet_read *read,
                            const struct parquet_plan *columns);
weir_status parquet_bloom_excluded(struct weir_account *account,
                                   const struct weir_parquet_file *file, size_t group,
                                   const struct weir_parquet_read *read,
                                   const struct parquet_plan *columns, bool *ret_excluded,
                                   struct weir_error *reterr) WEIR_MUST_CHECK;
/* Row ranges that column indexes leave over, ascending; one range of all rows if they tell nothing.
 */
weir_status parquet_rows_wanted(const struct weir_parquet_file *file, size_t group,
                                const struct weir_parquet_read *read,
                                const struct parquet_plan *columns, struct weir_arena *arena,
                                struct parquet_rows **ret_ranges, size_t *ret_count,
                                uint64_t *ret_pages_skipped,
                                struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
