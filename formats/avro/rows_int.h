/* Between plan.c, columns.c, rows.c and walk.c. */
#ifndef WEIR_FORMATS_AVRO_ROWS_INT_H
#define WEIR_FORMATS_AVRO_ROWS_INT_H

#include "engine/base/text.h"
#include "formats/avro/rows.h"

/* ---- plans ---- */

enum avro_action {
    AVRO_SKIP, /* the value is stepped over */
    AVRO_FAIL, /* a record that gets here is refused */
    AVRO_PUT_NULL,
    AVRO_PUT_BOOLEAN,
    AVRO_PUT_INT,     /* int, date */
    AVRO_PUT_LONG,    /* long, and times of micros */
    AVRO_PUT_SCALED,  /* times: multiplied by node.factor, divided if it is negative */
    AVRO_PUT_REAL,    /* int, long to float, double */
    AVRO_PUT_FLOAT,   /* float, double to either */
    AVRO_PUT_WHOLE,   /* int, long to decimal */
    AVRO_PUT_DECIMAL, /* bytes, fixed */
    AVRO_PUT_BYTES,   /* string, bytes, fixed to string, binary */
    AVRO_PUT_FIXED,   /* fixed, bytes to fixed, uuid */
    AVRO_PUT_TEXT,    /* string to uuid, decimal and times */
    AVRO_PUT_SYMBOL,
    AVRO_PUT_UNION,
    AVRO_PUT_RECORD,
    AVRO_PUT_LIST,
    AVRO_PUT_MAP,
};

struct avro_node;
struct avro_default {
    const struct avro_node *node; /* NULL: null */
    struct weir_bytes bytes;      /* of the node's writer */
};

struct avro_node {
    enum avro_action action;
    enum weir_reason reason; /* FAIL */
    const char *message;
    const struct weir_avro_type *writer;
    const char *path;
    uint32_t column;          /* in the order of avro_column_count: a column before its children */
    int64_t factor;           /* SCALED */
    struct avro_node **below; /* UNION: branches; RECORD: the writer's fields; LIST: element; MAP:
                                 value */
    /* RECORD: columns that the writer's schema lacks; they are null, or the record is refused */
    uint32_t *missing;
    struct avro_default *defaults; /* of each */
    uint32_t missing_count;
};

struct weir_avro_plan {
    struct avro_node *root;
    const char *unknown;
};

/* ---- walk.c: bytes ---- */

/* One record being read. */
struct avro_walk {
    const uint8_t *data;
    size_t size, position;
    size_t budget; /* items of arrays and maps that may still come */
    const char *fault;
    enum weir_reason reason;
    bool cut; /* the fault is that the data ended */
};

bool avro_walk_long(struct avro_walk *walk, int64_t *ret_value);
bool avro_walk_int(struct avro_walk *walk, int64_t *ret_value); /* of 32 bits */
bool avro_walk_run(struct avro_walk *walk, uint64_t size, const uint8_t **ret_run);
bool avro_walk_text(struct avro_walk *walk, struct weir_bytes *ret_bytes); /* bytes, string */
/* The count of the next block of an array or map, 0 after the last one. */
bool avro_walk_count(struct avro_walk *walk, size_t *ret_count);
bool avro_walk_skip(struct avro_walk *walk, const struct weir_avro_type *type, int depth);
bool avro_walk_fail(struct avro_walk *walk, enum weir_reason reason, const char *fault);
/* What a record of so many bytes may have of items. */
#define AVRO_ITEMS(size) (3 * (size) + 1024)

/* ---- columns.c: growing columns ---- */

struct avro_column {
    const struct weir_field *field;
    enum weir_type_id id;
    uint32_t width; /* bytes of a value of fixed width; 1 for boolean, a byte each; 0 */
    uint32_t count;
    uint32_t nulls;
    uint32_t first_child;       /* number of the first one */
    uint32_t after;             /* number behind the last one below */
    struct weir_buffer values;  /* fixed width, string, binary */
    struct weir_buffer offsets; /* int32 */
    struct weir_buffer valid;   /* a byte each */
};

uint32_t avro_column_count(const struct weir_type *type); /* itself and all below */
/* The number of a column's child, given the column's. */
uint32_t avro_child(const struct weir_type *type, uint32_t column, uint32_t child);

struct weir_avro_rows {
    struct weir_account *account;
    const struct weir_type *schema;
    struct avro_column *columns; /* 0: the rows themselves */
    uint32_t count;
    struct weir_field root;
};

weir_status avro_columns_init(struct weir_avro_rows *rows, struct weir_error *reterr);
void avro_columns_clear(struct weir_avro_rows *rows);
void avro_columns_done(struct weir_avro_rows *rows);
weir_status avro_put_null(struct weir_avro_rows *rows, uint32_t column, struct weir_error *reterr);
weir_status avro_put_fixed(struct avro_column *column, const void *value,
                           struct weir_error *reterr);
weir_status avro_put_text(struct avro_column *column, const void *data, size_t size,
                          struct weir_error *reterr);
/* A struct's row, or a list's whose elements are there. */
weir_status avro_put_group(struct weir_avro_rows *rows, uint32_t column, struct weir_error *reterr);
/* Takes back what was put behind the first `count` values. */
void avro_columns_cut(struct weir_avro_rows *rows, uint32_t column, uint32_t count);
weir_status avro_columns_batch(struct weir_avro_rows *rows, struct weir_arena *arena,
                               struct weir_batch *ret_batch, struct weir_error *reterr);

#endif
