/* Thrift's compact protocol, as much as Parquet's footer, page headers and indexes need.
 * Spec: apache/thrift doc/specs/thrift-compact-protocol.md. */
#ifndef WEIR_FORMATS_PARQUET_THRIFT_INT_H
#define WEIR_FORMATS_PARQUET_THRIFT_INT_H

#include "engine/base/memory.h"

enum thrift_type {
    THRIFT_STOP = 0,
    THRIFT_TRUE = 1,
    THRIFT_FALSE = 2,
    THRIFT_BYTE = 3,
    THRIFT_I16 = 4,
    THRIFT_I32 = 5,
    THRIFT_I64 = 6,
    THRIFT_DOUBLE = 7,
    THRIFT_BINARY = 8,
    THRIFT_LIST = 9,
    THRIFT_SET = 10,
    THRIFT_MAP = 11,
    THRIFT_STRUCT = 12,
};

/* Depth of structs below each other, read or written; Parquet's deepest is six. */
#define THRIFT_DEPTH_MAX 16

/* Writer: the first failure (no memory) sticks in `status`, so that callers check once, at the end.
 */
struct thrift_writer {
    struct weir_buffer *out;
    weir_status status;
    struct weir_error *reterr;
    int16_t last_id[THRIFT_DEPTH_MAX];
    int depth;
};

void thrift_writer_init(struct thrift_writer *writer, struct weir_buffer *out,
                        struct weir_error *reterr);
void thrift_write_bool(struct thrift_writer *writer, int16_t id, bool value);
void thrift_write_i8(struct thrift_writer *writer, int16_t id, int8_t value);
void thrift_write_i16(struct thrift_writer *writer, int16_t id, int16_t value);
void thrift_write_i32(struct thrift_writer *writer, int16_t id, int32_t value);
void thrift_write_i64(struct thrift_writer *writer, int16_t id, int64_t value);
void thrift_write_binary(struct thrift_writer *writer, int16_t id, const void *data, size_t size);
void thrift_write_text(struct thrift_writer *writer, int16_t id, const char *text);
void thrift_begin_struct(struct thrift_writer *writer, int16_t id);
void thrift_end_struct(struct thrift_writer *writer);
void thrift_begin_list(struct thrift_writer *writer, int16_t id, enum thrift_type element,
                       size_t count);
/* Elements of a list: no id. A struct element ends by thrift_end_struct; the outermost struct
 * begins by this too. */
void thrift_element_struct(struct thrift_writer *writer);
void thrift_element_i32(struct thrift_writer *writer, int32_t value);
void thrift_element_i64(struct thrift_writer *writer, int64_t value);
void thrift_element_bool(struct thrift_writer *writer, bool value);
void thrift_element_binary(struct thrift_writer *writer, const void *data, size_t size);

/* Reader over bytes in memory. The first fault sticks in `failed` with its position; every read
 * after it gives 0, and loops end, because thrift_next_field says stop and lists are empty. */
struct thrift_reader {
    const uint8_t *data;
    size_t size, at;
    bool failed;
    const char *fault; /* what was wrong at `at` */
    int16_t last_id[THRIFT_DEPTH_MAX];
    int depth;
    enum thrift_type type; /* of the field met by thrift_next_field */
};

void thrift_reader_init(struct thrift_reader *reader, const void *data, size_t size);
void thrift_enter_struct(struct thrift_reader *reader);
/* The next field's id, its type in reader->type; false at the struct's end, which leaves the
 * struct. */
bool thrift_next_field(struct thrift_reader *reader, int16_t *ret_id);
bool thrift_read_bool(struct thrift_reader *reader); /* of the field just met */
int64_t thrift_read_integer(
    struct thrift_reader *reader);                     /* I16, I32, I64 or BYTE field just met */
int64_t thrift_read_i64(struct thrift_reader *reader); /* zigzag varint: a list's element */
bool thrift_read_bool_element(struct thrift_reader *reader);
struct weir_bytes thrift_read_binary(struct thrift_reader *reader);
/* Count of a list of that element type; a count that cannot fit in the bytes left is a fault. */
size_t thrift_read_list(struct thrift_reader *reader, enum thrift_type element);
void thrift_skip(struct thrift_reader *reader); /* the field just met */
void thrift_fault(struct thrift_reader *reader, const char *fault);

#endif
