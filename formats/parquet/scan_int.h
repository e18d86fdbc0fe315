/* What the sources of the scan reader share: files, how stored values become Weir's, leaves read
 * page by page. */
#ifndef WEIR_FORMATS_PARQUET_SCAN_INT_H
#define WEIR_FORMATS_PARQUET_SCAN_INT_H

#include "formats/parquet/reader_int.h"
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

#endif
