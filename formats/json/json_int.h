/* Inside formats/json: the compiled plan (a tree of nodes, each a growing column) and the decoder's
 * state.
 *
 * The plan is walked together with the record. A record goes through the fast pass first, which
 * gives up at the first thing wrong; only then the careful pass checks that the record is JSON at
 * all, walks it again, finds out what is wrong and where, and settles repeated keys (the last one
 * wins, even over a wrong value before it). */
#ifndef WEIR_FORMATS_JSON_JSON_INT_H
#define WEIR_FORMATS_JSON_JSON_INT_H

#include "formats/json/json.h"

#include "engine/base/limits.h"

#define JSON_PADDING                                                                               \
    64 /* readable zero bytes behind a record and behind values: the widest vector */
#define JSON_KEY_WORDS                                                                             \
    4 /* a key of up to 32 bytes, quotes included, is compared without a loop                      \
       */
#define JSON_KEY_FAST (JSON_KEY_WORDS * 8)
#define JSON_INPUT_MAX                                                                             \
    (512u << 20) /* raw bytes a call: no column can then outgrow its int32 offsets */
#define JSON_PATH_SIZE  240
#define JSON_NAME_SHOWN 64 /* bytes of an unknown field's name in a message */

struct json_failure {
    enum weir_reason reason;
    uint32_t position;
    uint32_t path_at; /* path grows backwards, from the failing value to the root */
    bool path_full;
    char path[JSON_PATH_SIZE];
    char text[160];
};

struct json_shape;

struct json_node {
    enum weir_type_id type;
    bool required;
    bool in_list; /* below a list or map: rows are not known ahead */
    bool pending; /* careful pass: this member's last value was refused, see `failure` */
    enum weir_time_unit unit;
    uint32_t width;
    uint32_t count, capacity; /* rows */
    uint32_t null_count;
    uint32_t child_count;
    uint8_t *values;
    int32_t *offsets;
    uint8_t *validity; /* NULL until the first null; bits of valid and future rows are 1 */
    size_t bytes, bytes_capacity; /* string, binary: used and there are, padding not counted */
    struct json_node
        *children;  /* struct: fields, at least one allocated; list: element; map: key, value */
    uint32_t first; /* struct: the member that came first last time */
    uint32_t next;  /* member: the sibling that came after it last time */

    uint32_t key_size; /* with both quotes; 0 = the name needs escapes, found by hash only */
    uint64_t key_words[JSON_KEY_WORDS], key_masks[JSON_KEY_WORDS];
    const char *key; /* "name" with quotes */
    const char *name;
    uint32_t name_size;
    uint32_t *table; /* struct: hash of name -> child + 1 */
    uint32_t table_mask;

    const struct weir_type *declared;
    char wanted[48];                /* for messages */
    uint32_t last_count, last_rows; /* sizes of the batch before: what to start the next with */
    size_t last_bytes;
    struct json_node *parent;
    struct json_shape *unknown; /* EVOLVE: members that the schema lacks */
    struct json_failure *failure;
};

typedef bool (*json_walk)(struct weir_json_decoder *decoder);

struct weir_json_decoder {
    struct weir_account *account;
    struct weir_arena plan; /* nodes, keys */
    struct json_node *root; /* a struct; its count is the rows so far */
    enum weir_unknown_fields unknown_fields;
    json_walk walk;
    uint64_t seed;

    /* the record at hand, copied in front of padding: a NUL stands at `end`, so nothing needs a
     * bounds check */
    uint8_t *text, *end;
    uint8_t *scratch; /* decoded text of one key or value; as large as text, made by json_scratch */
    size_t text_capacity;
    size_t key_longest;
    bool careful;
    struct json_failure failure;

    struct weir_arena *arena; /* of this call */
    weir_status status;       /* of this call: OK or out of memory */
    struct weir_error error;

    uint32_t *map_table; /* repeated keys of one map */
    size_t map_table_capacity;
    uint8_t *map_dead; /* careful pass: a stack of flags, one per entry of the open maps */
    size_t map_dead_size, map_dead_capacity;

    struct weir_arena shapes;        /* EVOLVE */
    struct json_shape **shape_table; /* members by parent and name */
    size_t shape_count;
    uint64_t rows_before; /* of earlier calls */

    struct weir_json_mark mark; /* MARK: of the record at hand; name NULL = none */
    char mark_name[JSON_NAME_SHOWN + 1];
    struct weir_json_mark *marks;
    uint32_t mark_count, mark_capacity;
};

/* json_column.c: the columns below the nodes. All that can run out of memory return false with
 * decoder->status set. */
bool json_column_begin(struct weir_json_decoder *decoder, struct json_node *node, uint32_t rows);
bool json_column_grow(struct weir_json_decoder *decoder, struct json_node *node);
bool json_column_reserve(struct weir_json_decoder *decoder, struct json_node *node, size_t bytes);
bool json_column_null(struct weir_json_decoder *decoder, struct json_node *node);
void json_column_truncate(struct json_node *node, uint32_t count);
void json_column_finish(struct json_node *node, uint32_t rows, struct weir_vector *vector);
bool json_out_of_memory(struct weir_json_decoder *decoder, weir_status status);
/* Children vectors of a node that json_column_finish needs. */
bool json_column_vectors(struct weir_json_decoder *decoder, const struct json_node *node,
                         struct weir_vector *vector);

/* json_fail.c: all return NULL, so that a walker can `return json_fail...`. In the fast pass they
 * only return. */
const uint8_t *json_fail(struct weir_json_decoder *decoder, enum weir_reason reason,
                         const uint8_t *at, const char *format, ...) WEIR_PRINTF(4, 5);
const uint8_t *json_fail_syntax(struct weir_json_decoder *decoder, const uint8_t *at,
                                const char *wanted);
const uint8_t *json_fail_type(struct weir_json_decoder *decoder, const struct json_node *node,
                              const uint8_t *at);
const uint8_t *json_fail_range(struct weir_json_decoder *decoder, const struct json_node *node,
                               const uint8_t *at);
void json_path_member(struct json_failure *failure, const char *name);
void json_path_index(struct json_failure *failure, size_t index, const char *behind);

/* json_value.c: values from their text, off the fastest path. `at` is the token, for positions. */
const uint8_t *json_number_end(const uint8_t *at); /* RFC 8259 section 6; NULL if it is none */
bool json_put_number(struct weir_json_decoder *decoder, struct json_node *node, const uint8_t *at,
                     size_t size);
bool json_put_text(struct weir_json_decoder *decoder, struct json_node *node, const uint8_t *at,
                   const char *text, size_t size);
bool json_put_key(struct weir_json_decoder *decoder, struct json_node *node, const uint8_t *at,
                  const char *text, size_t size);
/* Decodes escapes of [from, to) and checks its UTF-8; out has to - from bytes and padding. */
bool json_unescape(struct weir_json_decoder *decoder, const uint8_t *from, const uint8_t *to,
                   uint8_t *out, size_t *ret_size);
bool json_check_utf8(struct weir_json_decoder *decoder, const uint8_t *from, const uint8_t *to);

/* json_map.c: repeated keys among rows [start, end) of a key column. */
bool json_map_repeats(struct weir_json_decoder *decoder, const struct json_node *key,
                      uint32_t start);
/* Flags for the entries that a later one overrides are pushed; *ret_base is where. */
bool json_map_dead(struct weir_json_decoder *decoder, const struct json_node *key, uint32_t start,
                   size_t *ret_base);

/* json_plan.c */
uint64_t json_hash(uint64_t seed, const void *bytes, size_t size);
struct json_node *json_plan_find(const struct json_node *node, const char *name, size_t size);

/* json_decode.c: what the walkers meet rarely. json_scratch: false when out of memory. */
bool json_scratch(struct weir_json_decoder *decoder);
bool json_unknown_member(struct weir_json_decoder *decoder, struct json_node *node,
                         const uint8_t *key, const uint8_t *at);

/* json_shape.c: what was seen of members that no schema names. `at` is a value already known to be
 * valid JSON. */
bool json_shape_note(struct weir_json_decoder *decoder, struct json_node *node, const char *name,
                     size_t size, const uint8_t *at);
/* Does a value have more in it than null, empty objects and empty arrays? */
bool json_shape_holds(const uint8_t *at);
/* Fields with types that hold everything seen at the root; USAGE where no type does. They live in
 * `arena`. */
weir_status json_shape_fields(const struct weir_json_decoder *decoder, uint64_t records,
                              struct weir_arena *arena, struct weir_type *ret_type,
                              struct weir_error *reterr) WEIR_MUST_CHECK;

/* json_walk_*.c: the same source for each vector width. */
bool json_walk_plain(struct weir_json_decoder *decoder);
bool json_walk_avx2(struct weir_json_decoder *decoder);
bool json_walk_avx512(struct weir_json_decoder *decoder);

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "keys and masks are compared as little-endian words");

static inline bool json_room(struct weir_json_decoder *decoder, struct json_node *node)
{
    return __builtin_expect(node->count < node->capacity, 1) || json_column_grow(decoder, node);
}

static inline bool json_bytes_room(struct weir_json_decoder *decoder, struct json_node *node,
                                   size_t bytes)
{
    return __builtin_expect(bytes <= node->bytes_capacity - node->bytes, 1) ||
           json_column_reserve(decoder, node, bytes);
}

#endif
