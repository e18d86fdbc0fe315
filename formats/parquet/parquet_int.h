/* What the sources of this room share: leaves of a schema, buffered leaf data, encoded chunks. */
#ifndef WEIR_FORMATS_PARQUET_PARQUET_INT_H
#define WEIR_FORMATS_PARQUET_PARQUET_INT_H

#include "formats/parquet/parquet.h"
#include "formats/parquet/thrift_int.h"

/* parquet.thrift: Type */
enum parquet_physical {
    PARQUET_BOOLEAN = 0,
    PARQUET_INT32 = 1,
    PARQUET_INT64 = 2,
    PARQUET_INT96 = 3,
    PARQUET_FLOAT = 4,
    PARQUET_DOUBLE = 5,
    PARQUET_BYTE_ARRAY = 6,
    PARQUET_FIXED = 7,
};

/* parquet.thrift: Encoding */
enum parquet_encoding {
    PARQUET_PLAIN = 0,
    PARQUET_PLAIN_DICTIONARY = 2,
    PARQUET_RLE = 3,
    PARQUET_BIT_PACKED = 4,
    PARQUET_DELTA_BINARY_PACKED = 5,
    PARQUET_DELTA_LENGTH_BYTE_ARRAY = 6,
    PARQUET_DELTA_BYTE_ARRAY = 7,
    PARQUET_RLE_DICTIONARY = 8,
    PARQUET_BYTE_STREAM_SPLIT = 9,
};

/* parquet.thrift: PageType */
enum parquet_page_type {
    PARQUET_DATA_PAGE = 0,
    PARQUET_INDEX_PAGE = 1,
    PARQUET_DICTIONARY_PAGE = 2,
    PARQUET_DATA_PAGE_V2 = 3
};

#define PARQUET_MAGIC             "PAR1"
#define PARQUET_ROW_GROUP_DEFAULT (64u << 20)
#define PARQUET_PAGE_DEFAULT      (1u << 20)
#define PARQUET_SEGMENT_LEVELS    20000 /* a page ends here at the latest, at the next row's start */
#define PARQUET_DICTIONARY_MAX    (1u << 20)
#define PARQUET_INDEX_BOUND       64         /* bytes of a bound in the column index */
#define PARQUET_STATISTICS_BOUND  256        /* bytes of a bound in a chunk's statistics */
#define PARQUET_METRIC_BOUND      16         /* characters or bytes of an Iceberg bound */
#define PARQUET_BLOOM_MAX         (1u << 20) /* bytes of one bloom filter */
#define PARQUET_DEPTH_MAX         96         /* nodes on a path: every list or map adds two */

/* ---- schema
 * --------------------------------------------------------------------------------------------------
 */

/* A primitive at the end of a path, as the writer stores it. */
struct parquet_leaf {
    const struct weir_type *type;
    int32_t field_id;
    enum parquet_physical physical;
    uint32_t width; /* bytes of one stored value; 0 for BYTE_ARRAY, 1 for BOOLEAN (a byte each until
                       encoded) */
    uint8_t max_definition, max_repetition;
    const char **path; /* path_in_schema */
    uint32_t path_count;
    bool bloom, no_bounds;
};

/* Bytes of the smallest two's complement that holds any value of that many digits. */
uint32_t parquet_decimal_width(unsigned precision);
enum parquet_physical parquet_physical_of(const struct weir_type *type, uint32_t *ret_width);
uint32_t parquet_leaf_count(const struct weir_type *type);
/* Fills leaves in schema order; UNSUPPORTED for a type Parquet has no place for (a struct without
 * fields). */
weir_status parquet_leaves_make(struct weir_arena *arena, const struct weir_type *schema,
                                struct parquet_leaf **ret_leaves, uint32_t *ret_count,
                                struct weir_error *reterr) WEIR_MUST_CHECK;
/* The footer's flattened schema: list field `id` of the struct being written. */
void parquet_schema_write(struct thrift_writer *writer, int16_t id, const struct weir_type *schema);

/* ---- buffered data
 * ------------------------------------------------------------------------------------------- */

/* Strings of a leaf in the order they came, in blocks that never move: a string lies whole in one
 * block. */
struct parquet_block {
    struct parquet_block *next;
    uint32_t capacity, used;
    uint8_t data[];
};

/* A run of rows of one leaf, whole rows only. Values are dense: nulls have a level and no value. */
struct parquet_segment {
    uint32_t level_count, value_count, row_count;
    struct weir_buffer
        definition; /* one byte a level; empty while every level is the leaf's maximum */
    struct weir_buffer repetition; /* one byte a level; only for repeated leaves */
    struct weir_buffer values;     /* width bytes a value; for BYTE_ARRAY uint32 lengths */
    uint64_t byte_count;           /* BYTE_ARRAY: bytes of the strings */
};

struct parquet_column {
    const struct parquet_leaf *leaf;
    struct weir_account *account;
    struct parquet_segment *segments;
    size_t segment_count, segment_capacity;
    struct parquet_block *first_block, *last_block;
    uint64_t level_count, value_count, byte_count;
};

void parquet_column_clear(struct parquet_column *column); /* frees what it buffers */

/* Rows [from, to) of the batch, cut into levels for every leaf. */
struct parquet_slots {
    const struct weir_vector *vector; /* of the leaf */
    uint32_t count;
    uint32_t first;            /* rows == NULL: slot i is row first + i */
    const uint32_t *rows;      /* UINT32_MAX = no value */
    const uint8_t *definition; /* NULL: all `depth` */
    const uint8_t *repetition; /* NULL: all 0 */
    uint8_t depth;             /* definition level of a slot that has a value */
};
weir_status parquet_shred(struct weir_arena *scratch, const struct weir_batch *batch, uint32_t from,
                          uint32_t to, struct parquet_slots *ret_slots,
                          struct weir_error *reterr) WEIR_MUST_CHECK;
/* Decoded size in bits of the slots: each row's is added to per_row[row]. A function of the rows
 * alone. */
void parquet_slots_bits(const struct parquet_slots *slots, uint64_t *per_row);
/* The same for all rows together, or somewhat more: strings under nulls may be counted. No look at
 * each slot. */
uint64_t parquet_slots_bits_most(const struct parquet_slots *slots);
/* The same, exactly, of what a column has buffered. */
uint64_t parquet_column_bits(const struct parquet_column *column);
weir_status parquet_column_append(struct parquet_column *column, const struct parquet_slots *slots,
                                  struct weir_error *reterr) WEIR_MUST_CHECK;

/* ---- bounds
 * --------------------------------------------------------------------------------------------------
 */

/* How values of a leaf compare: parquet.thrift, ColumnOrder TypeDefinedOrder. */
enum parquet_order {
    PARQUET_ORDER_BOOLEAN,
    PARQUET_ORDER_INT32,
    PARQUET_ORDER_INT64,
    PARQUET_ORDER_FLOAT,
    PARQUET_ORDER_DOUBLE,
    PARQUET_ORDER_BYTES,
    PARQUET_ORDER_DECIMAL
};
enum parquet_order parquet_order_of(const struct parquet_leaf *leaf);

union parquet_value {
    int32_t int32;
    int64_t int64;
    float float32;
    double float64;
    struct weir_bytes bytes;
};

/* Least and greatest, NaN passed over. Bytes point to where the values lie. */
struct parquet_range {
    bool set;
    union parquet_value lower, upper;
};

int parquet_compare(enum parquet_order order, const union parquet_value *a,
                    const union parquet_value *b);
void parquet_range_merge(enum parquet_order order, struct parquet_range *into,
                         const struct parquet_range *from);
/* Range of `count` dense values of fixed width (bytes if FIXED). */
void parquet_range_fixed(const struct parquet_leaf *leaf, const void *values, size_t count,
                         struct parquet_range *range, uint64_t *nan_count);
void parquet_range_add_bytes(struct parquet_range *range, enum parquet_order order,
                             struct weir_bytes bytes);
/* A bound as PLAIN bytes in the arena, cut to `limit` bytes (0 = whole), at a character's end if
 * text; an upper bound is rounded up, and stays whole if it cannot be. Only BYTE_ARRAY is ever cut.
 * *ret_exact tells whether nothing was cut. */
weir_status parquet_bound_plain(struct weir_arena *arena, const struct parquet_leaf *leaf,
                                const union parquet_value *value, bool upper, size_t limit,
                                struct weir_bytes *ret_bytes, bool *ret_exact,
                                struct weir_error *reterr) WEIR_MUST_CHECK;
/* A bound as Iceberg's single-value binary. *ret_bytes.data stays NULL if an upper bound cannot be
 * cut. */
weir_status parquet_bound_iceberg(struct weir_arena *arena, const struct parquet_leaf *leaf,
                                  const union parquet_value *value, bool upper,
                                  struct weir_bytes *ret_bytes,
                                  struct weir_error *reterr) WEIR_MUST_CHECK;

/* ---- encodings
 * -----------------------------------------------------------------------------------------------
 */

unsigned parquet_bit_width(uint32_t greatest);
/* RLE / bit-packing hybrid, without a length in front. */
weir_status parquet_rle_encode8(const uint8_t *values, size_t count, unsigned width,
                                struct weir_buffer *out, struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status parquet_rle_encode32(const uint32_t *values, size_t count, unsigned width,
                                 struct weir_buffer *out,
                                 struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status parquet_rle_constant(uint32_t value, size_t count, unsigned width,
                                 struct weir_buffer *out,
                                 struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status parquet_delta_encode(const void *values, size_t count, unsigned width_bytes,
                                 struct weir_buffer *out,
                                 struct weir_error *reterr) WEIR_MUST_CHECK;
uint64_t parquet_delta_size(const void *values, size_t count, unsigned width_bytes);

/* ---- dictionary
 * ---------------------------------------------------------------------------------------------- */

struct parquet_dictionary {
    bool used;
    uint32_t count;
    struct weir_buffer entries; /* width bytes each; struct weir_bytes for BYTE_ARRAY */
    struct weir_buffer indices; /* uint32 a value of the chunk */
    uint64_t plain_size;        /* bytes of its PLAIN page */
};

/* Tries a dictionary over the whole column; used = false when it passes PARQUET_DICTIONARY_MAX or
 * cannot win. */
weir_status parquet_dictionary_build(const struct parquet_column *column,
                                     struct parquet_dictionary *ret_dictionary,
                                     struct weir_error *reterr) WEIR_MUST_CHECK;
void parquet_dictionary_done(struct parquet_dictionary *dictionary);

/* Walks the strings of a column. */
struct parquet_string_cursor {
    const struct parquet_block *block;
    uint32_t at;
};
static inline const uint8_t *parquet_string_next(struct parquet_string_cursor *cursor,
                                                 uint32_t size)
{
    if (size == 0)
        return (const uint8_t *)"";
    /* A block was left when the next string did not fit, and `used` is where the last one ended. */
    while (cursor->at + (uint64_t)size > cursor->block->used) {
        cursor->block = cursor->block->next;
        cursor->at = 0;
    }
    const uint8_t *data = cursor->block->data + cursor->at;
    cursor->at += size;
    return data;
}

/* ---- bloom
 * ---------------------------------------------------------------------------------------------------
 */

/* Bytes of a split-block filter for that many different values at one false answer in a hundred: a
 * power of two. */
size_t parquet_bloom_size(uint64_t different);
uint64_t parquet_bloom_hash(const void *data, size_t size);
void parquet_bloom_add(uint8_t *filter, size_t size, uint64_t hash);
bool parquet_bloom_has(const uint8_t *filter, size_t size, uint64_t hash);

/* ---- chunks
 * --------------------------------------------------------------------------------------------------
 */

struct parquet_page {
    uint64_t offset;    /* in the chunk's bytes, later in the file */
    uint32_t size;      /* header and compressed data */
    uint64_t first_row; /* in the row group */
    uint64_t null_count;
    bool null_page;
    struct weir_bytes lower, upper;
};

/* A column chunk, encoded. `bytes` is emptied when it is written; the rest stays for the footer. */
struct parquet_chunk {
    const struct parquet_leaf *leaf;
    struct weir_buffer bytes;
    uint64_t file_offset;
    uint64_t dictionary_size; /* bytes of the dictionary page at the front, 0 = none */
    enum parquet_encoding encoding;
    uint64_t value_count, null_count, nan_count;
    uint64_t plain_size, compressed_size; /* headers included */
    struct parquet_page *pages;
    size_t page_count, page_capacity;
    bool index_possible; /* false: a page has values but no bounds, so no column index */
    int boundary_order;  /* parquet.thrift: BoundaryOrder */
    bool has_bounds;
    struct weir_bytes lower, upper;
    bool lower_exact, upper_exact;
    struct parquet_range range; /* for the file's metrics; bytes cut or whole, in the arena */
    uint8_t *bloom;
    size_t bloom_size;
    uint64_t bloom_offset, bloom_length;
    uint64_t column_index_offset, column_index_length, offset_index_offset, offset_index_length;
    struct weir_arena arena;
};

/* Encodes and compresses the column and frees what it buffered. */
weir_status parquet_chunk_encode(struct parquet_column *column,
                                 const struct weir_parquet_options *options,
                                 struct weir_account *account, struct parquet_chunk *chunk,
                                 struct weir_error *reterr) WEIR_MUST_CHECK;
void parquet_chunk_done(struct parquet_chunk *chunk);

struct parquet_row_group {
    struct parquet_chunk *chunks;
    uint64_t row_count, file_offset;
};

/* Footer and indexes, appended to out, which will lie at `offset` in the file. */
weir_status parquet_column_index_write(const struct parquet_chunk *chunk, struct weir_buffer *out,
                                       struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status parquet_offset_index_write(const struct parquet_chunk *chunk, struct weir_buffer *out,
                                       struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status parquet_bloom_write(const struct parquet_chunk *chunk, struct weir_buffer *out,
                                struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status parquet_footer_write(const struct weir_type *schema,
                                 const struct weir_parquet_options *options,
                                 const struct parquet_row_group *groups, size_t group_count,
                                 uint32_t leaf_count, uint64_t row_count, struct weir_buffer *out,
                                 struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
