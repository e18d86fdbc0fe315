/* Avro object container files: schemas, values, reading and writing. Spec: Apache Avro 1.11 "Binary
 * Encoding", "Object Container Files".
 *
 * Reading is driven by the schema in the file: fields are found by Iceberg's field-id or by name,
 * and what nobody asked for is stepped over whatever its shape. Writing takes the schema as text
 * and puts it into the header byte for byte, so that attributes Avro does not know (field-id,
 * logicalType, element-id) stay. Hostile bytes end in CORRUPT, never worse. */
#ifndef WEIR_FORMATS_AVRO_AVRO_H
#define WEIR_FORMATS_AVRO_AVRO_H

#include "engine/base/limits.h"
#include "engine/base/memory.h"

#define WEIR_AVRO_BLOCK_SIZE (64u << 10) /* bytes of a written block before compression */

enum weir_avro_kind {
    WEIR_AVRO_NULL,
    WEIR_AVRO_BOOLEAN,
    WEIR_AVRO_INT,
    WEIR_AVRO_LONG,
    WEIR_AVRO_FLOAT,
    WEIR_AVRO_DOUBLE,
    WEIR_AVRO_BYTES,
    WEIR_AVRO_STRING,
    WEIR_AVRO_FIXED,
    WEIR_AVRO_ENUM,
    WEIR_AVRO_ARRAY,
    WEIR_AVRO_MAP,
    WEIR_AVRO_RECORD,
    WEIR_AVRO_UNION,
    WEIR_AVRO_KIND_COUNT
};

struct weir_avro_type;

/* A record's field, a union's branch (name ""), an array's element ("element") or a map's value
 * ("value"). */
struct weir_avro_field {
    const char *name;
    int32_t id; /* field-id; element-id of an array, value-id of a map; -1 = none */
    bool skip;  /* the reader's user sets it: the value is stepped over and shows up as type NULL */
    struct weir_avro_type *type;
};

/* Lives in the arena it was parsed in. Named types may be shared and may recurse. */
struct weir_avro_type {
    enum weir_avro_kind kind;
    const char *name;         /* RECORD, ENUM, FIXED: full name; else "" */
    const char *logical_type; /* "" = none */
    int32_t precision, scale; /* logical type decimal */
    size_t size;              /* FIXED: bytes; ENUM: symbols */
    const char **symbols;     /* ENUM */
    struct weir_avro_field *fields;
    size_t field_count; /* RECORD, UNION; 1 for ARRAY and MAP */
};

/* A decoded value. `type` is never a union: the branch taken. NULL = skipped. */
struct weir_avro_value {
    const struct weir_avro_type *type;
    union {
        bool boolean;
        int64_t integer;         /* INT, LONG, ENUM (index) */
        double real;             /* FLOAT, DOUBLE */
        struct weir_bytes bytes; /* BYTES, STRING, FIXED; a NUL stands behind */
        struct {
            struct weir_avro_value
                *items;   /* RECORD: by field; ARRAY; MAP: key, value, key, value ... */
            size_t count; /* MAP: of pairs */
        } list;
    } as;
};

/* Parses a schema's JSON text. CORRUPT when it is none. */
weir_status weir_avro_schema_parse(struct weir_arena *arena, const char *text, size_t size,
                                   struct weir_avro_type **ret_type,
                                   struct weir_error *reterr) WEIR_MUST_CHECK;
/* Position of the field with that id, else (only if no field of the record has an id) of that name;
 * SIZE_MAX = none. */
size_t weir_avro_find(const struct weir_avro_type *record, int32_t id, const char *name);

/* Decodes one value at *position of [data, data + size). Values and their bytes live in the arena.
 */
weir_status weir_avro_decode(struct weir_arena *arena, const struct weir_avro_type *type,
                             const uint8_t *data, size_t size, size_t *position,
                             struct weir_avro_value *ret_value,
                             struct weir_error *reterr) WEIR_MUST_CHECK;

/* Container reader. Codecs null, deflate, snappy, zstandard. `data` must outlive it; everything
 * else is its own or the arena's. */
struct weir_avro_reader;
weir_status weir_avro_reader_open(struct weir_arena *arena, const void *data, size_t size,
                                  struct weir_avro_reader **ret_reader,
                                  struct weir_error *reterr) WEIR_MUST_CHECK;
void weir_avro_reader_close(struct weir_avro_reader *reader); /* NULL-safe; before the arena goes */
struct weir_avro_type *weir_avro_reader_schema(struct weir_avro_reader *reader);
/* Header metadata: false = no such key. */
bool weir_avro_reader_metadata(const struct weir_avro_reader *reader, const char *key,
                               struct weir_bytes *ret_value);
/* The next value; *ret_end true and no value after the last one. */
weir_status weir_avro_reader_next(struct weir_avro_reader *reader, struct weir_arena *arena,
                                  bool *ret_end, struct weir_avro_value *ret_value,
                                  struct weir_error *reterr) WEIR_MUST_CHECK;

/* A container file read piece by piece, so that it need not fit into memory. `last`: nothing comes
 * behind these bytes. */
struct weir_avro_blocks;
/* Reads the header at the beginning of the data; *ret_used is its size, or 0: more bytes are wanted
 * (nothing is made). CORRUPT, UNSUPPORTED (a codec, a schema beyond WEIR_AVRO_SCHEMA_SIZE_MAX). */
weir_status weir_avro_blocks_open(struct weir_account *account, const uint8_t *data, size_t size,
                                  bool last, struct weir_avro_blocks **ret_blocks, size_t *ret_used,
                                  struct weir_error *reterr) WEIR_MUST_CHECK;
/* Text of the schema in the header; lives as long as the blocks. */
struct weir_bytes weir_avro_blocks_schema(const struct weir_avro_blocks *blocks);
/* The block at the beginning of the data (not empty): its values, unpacked, until the next call.
 * *ret_used as above. */
weir_status weir_avro_blocks_next(struct weir_avro_blocks *blocks, const uint8_t *data, size_t size,
                                  bool last, struct weir_bytes *ret_values, uint64_t *ret_count,
                                  size_t *ret_used, struct weir_error *reterr) WEIR_MUST_CHECK;
void weir_avro_blocks_free(struct weir_avro_blocks *blocks); /* NULL-safe */

/* Encoders of single values, appended to a buffer. A record is its fields one after another; a
 * union is put_long(branch) and the value; an array is put_long(count), the items, put_long(0)
 * (count 0: only put_long(0)). */
weir_status weir_avro_put_long(struct weir_buffer *out, int64_t value,
                               struct weir_error *reterr) WEIR_MUST_CHECK; /* int too */
weir_status weir_avro_put_bytes(struct weir_buffer *out, const void *data, size_t size,
                                struct weir_error *reterr) WEIR_MUST_CHECK; /* string too */
weir_status weir_avro_put_raw(struct weir_buffer *out, const void *data, size_t size,
                              struct weir_error *reterr)
    WEIR_MUST_CHECK; /* fixed, boolean, float, double */

struct weir_avro_pair {
    const char *key, *value;
};

/* Container writer: begin, then encode records into `block`, each ended by weir_avro_writer_record;
 * finish. */
struct weir_avro_writer {
    struct weir_buffer block;
    struct weir_buffer packed;
    struct weir_buffer *out;
    int64_t count;
    bool deflate;
    uint8_t sync[16];
};
weir_status weir_avro_writer_begin(struct weir_avro_writer *writer, struct weir_buffer *out,
                                   const char *schema, const struct weir_avro_pair *metadata,
                                   size_t metadata_count, bool deflate, const uint8_t sync[16],
                                   struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status weir_avro_writer_record(struct weir_avro_writer *writer,
                                    struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status weir_avro_writer_finish(struct weir_avro_writer *writer,
                                    struct weir_error *reterr) WEIR_MUST_CHECK;
void weir_avro_writer_done(
    struct weir_avro_writer *writer); /* frees the buffers; after failure too */

#endif
