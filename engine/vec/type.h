/* Types: every Iceberg v2 type, and the schema of a table. Spec: Iceberg "Schemas and Data Types".
 *
 * Value structs, usually living in an arena; nothing here owns anything. A struct type's children
 * are its fields, a list's one child is named "element", a map's two are "key" (required) and
 * "value". */
#ifndef WEIR_ENGINE_VEC_TYPE_H
#define WEIR_ENGINE_VEC_TYPE_H

#include "engine/base/memory.h"

enum weir_type_id {
    WEIR_BOOLEAN,     /* bit */
    WEIR_INT,         /* int32 */
    WEIR_LONG,        /* int64 */
    WEIR_FLOAT,       /* float */
    WEIR_DOUBLE,      /* double */
    WEIR_DECIMAL,     /* int128, unscaled; precision 1..38, scale 0..precision */
    WEIR_DATE,        /* int32 days since 1970-01-01 */
    WEIR_TIME,        /* int64 microseconds since midnight */
    WEIR_TIMESTAMP,   /* int64 microseconds since 1970-01-01, no zone */
    WEIR_TIMESTAMPTZ, /* int64 microseconds since 1970-01-01 UTC */
    WEIR_STRING,      /* int32 offsets + UTF-8 */
    WEIR_UUID,        /* 16 bytes, big endian as written */
    WEIR_FIXED,       /* length bytes */
    WEIR_BINARY,      /* int32 offsets + bytes */
    WEIR_STRUCT,
    WEIR_LIST,
    WEIR_MAP,
    WEIR_INTERVAL, /* int32 months, int32 days, int64 microseconds; in expressions only, never stored */
    WEIR_TYPE_COUNT
};

struct weir_field;

struct weir_type {
    enum weir_type_id id;
    uint8_t precision, scale; /* DECIMAL */
    uint32_t length;          /* FIXED */
    uint32_t child_count;     /* STRUCT: fields; LIST: 1; MAP: 2 */
    struct weir_field *children;
};

struct weir_field {
    const char *name; /* UTF-8, NUL-terminated */
    const char *doc;  /* NULL = none */
    int32_t id;       /* Iceberg field id; 0 = not given yet */
    bool required;
    struct weir_type type;
};

/* A schema is a STRUCT type with an Iceberg schema id. */
struct weir_schema {
    int32_t id;
    struct weir_type root;
};

bool weir_type_is_nested(enum weir_type_id id);
/* Bytes of one value in a flat vector: 4, 8, 16, length; 0 for boolean, string, binary and nested
 * types. */
uint32_t weir_type_width(const struct weir_type *type);
/* Structure, names and parameters; ids and docs only if `with_ids`. */
bool weir_type_equal(const struct weir_type *a, const struct weir_type *b, bool with_ids);
/* Iceberg's promotions: int->long, float->double, decimal(P,S)->decimal(P',S) with P'>P. */
bool weir_type_can_widen(const struct weir_type *from, const struct weir_type *to);
/* The field of that name directly below, or NULL. Names are case-sensitive. */
const struct weir_field *weir_type_child(const struct weir_type *type, const char *name,
                                         size_t name_size);
/* The field with that id anywhere below, or NULL. */
const struct weir_field *weir_type_by_id(const struct weir_type *type, int32_t id);
/* The field of a dotted path ("cpu.usage_pct", "disks.element.mount"), or NULL. */
const struct weir_field *weir_type_by_path(const struct weir_type *type, const char *path);
/* Deep copy into the arena. */
weir_status weir_type_copy(struct weir_arena *arena, const struct weir_type *type,
                           struct weir_type *ret_type, struct weir_error *reterr) WEIR_MUST_CHECK;
/* Gives ids to fields that have 0, breadth-first per level as Iceberg's AssignFreshIds does; *last
 * is the highest id so far. */
void weir_type_assign_ids(struct weir_type *type, int32_t *last_id);
int32_t weir_type_highest_id(const struct weir_type *type);

/* Type strings of the pipeline file: `string`, `decimal(9,2)`, `fixed(16)` or `fixed[16]`,
 * `struct<a:int, b:list<string>>`, `map<string, long>`; inside struct `name: type` with an optional
 * space and an optional trailing ` required` per field, likewise ` required` on element and value.
 * Errors say position and nearest known name: USAGE. */
weir_status weir_type_parse(struct weir_arena *arena, const char *text, struct weir_type *ret_type,
                            struct weir_error *reterr) WEIR_MUST_CHECK;
/* The same with an optional trailing ` required` for the column itself. The error's text has no
 * position in front; *ret_position (may be NULL) is set on failure: the byte in `text` where it is.
 */
weir_status weir_type_parse_column(struct weir_arena *arena, const char *text,
                                   struct weir_type *ret_type, bool *ret_required,
                                   size_t *ret_position, struct weir_error *reterr) WEIR_MUST_CHECK;
/* The same form back, NUL behind; appended to the buffer. */
weir_status weir_type_print(const struct weir_type *type, struct weir_buffer *out,
                            struct weir_error *reterr) WEIR_MUST_CHECK;
const char *weir_type_name(enum weir_type_id id); /* "timestamptz" */

#endif
