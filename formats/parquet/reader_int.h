/* What the reading half of this room shares: the footer as structs. */
#ifndef WEIR_FORMATS_PARQUET_READER_INT_H
#define WEIR_FORMATS_PARQUET_READER_INT_H

#include "formats/parquet/parquet_int.h"

/* A node of the file's schema. Children are nodes[first_child], then each one's `next`. */
struct file_node {
    struct weir_bytes name;
    int32_t physical; /* leaves; -1 for groups */
    int32_t type_length;
    int32_t repetition; /* 0 required, 1 optional, 2 repeated */
    int32_t converted;  /* -1 = none */
    int32_t logical;    /* member of LogicalType; 0 = none */
    int32_t time_unit;  /* member of TimeUnit: 1 millis, 2 micros, 3 nanos; 0 = not said */
    bool adjusted_to_utc;
    uint8_t integer_width; /* of logical INTEGER: 8, 16, 32, 64; 0 = not said */
    bool integer_unsigned;
    int32_t scale, precision;
    int32_t field_id; /* 0 = none */
    uint32_t child_count;
    uint32_t first_child, next;      /* 0 = none: the root is nobody's child */
    uint32_t first_leaf, leaf_count; /* below, the node itself if it is one */
    uint8_t definition;              /* level at which this node is there */
    uint8_t repeated;                /* repeated nodes on its path, itself included */
};

struct file_chunk {
    int32_t physical, codec;
    uint64_t value_count, compressed_size;
    uint64_t data_offset, dictionary_offset;           /* 0 = no dictionary */
    uint64_t bloom_offset, bloom_length;               /* 0 = none; length 0 = not said */
    uint64_t column_index_offset, offset_index_offset; /* 0 = none */
    uint32_t column_index_length, offset_index_length;
    struct weir_bytes lower, upper; /* PLAIN; data NULL = not said */
    bool old_bounds;                /* from the fields whose order nobody defined */
    bool has_null_count;
    uint64_t null_count;
};

struct file_group {
    uint64_t row_count;
    uint64_t first_row;        /* rows of the file before it */
    struct file_chunk *chunks; /* one a leaf */
};

struct file_meta {
    struct file_node *nodes;
    uint32_t node_count, leaf_count;
    uint32_t *leaf_nodes; /* leaf -> node */
    bool has_ids;
    uint64_t row_count;
    struct file_group *groups;
    size_t group_count;
};

/* Parses a footer of `size` bytes that lies at `offset` of a file. Names point into data. */
weir_status parquet_meta_parse(struct weir_arena *arena, const uint8_t *data, size_t size,
                               uint64_t offset, struct file_meta *ret_meta,
                               struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
