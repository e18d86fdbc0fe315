/* What the files of functions and of evaluation share. Private to the room. */
#ifndef WEIR_ENGINE_EXPR_FUNCTION_INT_H
#define WEIR_ENGINE_EXPR_FUNCTION_INT_H

#include "engine/base/text.h"
#include "engine/expr/ir.h"

struct weir_interval {
    int32_t months, days;
    int64_t micros;
};

/* ---- vectors.c ---- */
/* One null: a CONSTANT of the type, nested children empty but there. */
weir_status weir_vector_null(struct weir_arena *arena, const struct weir_type *type,
                             struct weir_vector *ret, struct weir_error *reterr) WEIR_MUST_CHECK;
/* A bitmap of `count` bits, all zero or all one. */
weir_status expr_bitmap(struct weir_arena *arena, uint32_t count, bool ones, uint8_t **ret,
                        struct weir_error *reterr) WEIR_MUST_CHECK;
/* Bytes of 0 and 1 -> bits. */
void expr_pack_bits(const uint8_t *bytes, uint32_t count, uint8_t *bits);
/* Rows [r0 of parts[0], r0 of parts[1], ..., r1 of parts[0], ...] as one flat vector. */
weir_status weir_vectors_interleave(struct weir_arena *arena, const struct weir_vector *parts,
                                    uint32_t part_count, uint32_t rows,
                                    const struct weir_type *type, struct weir_vector *ret,
                                    struct weir_error *reterr) WEIR_MUST_CHECK;
/* Row i of values[source[i]], a flat vector. */
weir_status weir_vectors_choose(struct weir_arena *arena, const struct weir_vector *values,
                                const uint32_t *source, uint32_t rows, const struct weir_type *type,
                                struct weir_vector *ret, struct weir_error *reterr) WEIR_MUST_CHECK;
/* Null rows of a vector: sets null_count from validity; validity NULL when all are valid. */
void expr_count_nulls(struct weir_vector *vector);

/* ---- strings made row by row: offsets and values of a flat vector ---- */
struct text_writer {
    struct weir_buffer buffer; /* of a scratch account: freed by text_finish */
    struct weir_evaluation *evaluation;
    struct weir_vector *ret;
    uint32_t row;
};
/* begin; for each row in order: append to writer.buffer, then text_row; then finish (also after a
 * failure: it frees). */
weir_status text_begin(struct text_writer *writer, struct weir_evaluation *evaluation,
                       const struct weir_type *type, struct weir_vector *ret,
                       struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status text_row(struct text_writer *writer, struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status text_finish(struct text_writer *writer, weir_status status,
                        struct weir_error *reterr) WEIR_MUST_CHECK;

/* ---- evaluation ---- */
weir_status eval_cast(struct weir_evaluation *evaluation, const struct weir_node *node,
                      const struct weir_vector *from, struct weir_vector *ret,
                      struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status eval_compare(struct weir_evaluation *evaluation, enum weir_compare compare,
                         const struct weir_vector *a, const struct weir_vector *b,
                         struct weir_vector *ret, struct weir_error *reterr) WEIR_MUST_CHECK;
/* Validity of both: NULL = all valid. Either may be CONSTANT. */
weir_status expr_merge_validity(struct weir_evaluation *evaluation, const struct weir_vector *a,
                                uint8_t **validity, struct weir_error *reterr) WEIR_MUST_CHECK;
/* in_set.c: node->prepared of an IN of many constants, once bound; stays NULL for few. */
weir_status in_set_prepare(struct weir_arena *arena, struct weir_node *node,
                           struct weir_error *reterr) WEIR_MUST_CHECK;
/* Bits of the rows whose value is in the set; *ret_null_item: there is a null among the constants.
 */
weir_status in_set_bits(struct weir_evaluation *evaluation, const struct weir_node *node,
                        const struct weir_vector *value, uint8_t *bits, bool *ret_null_item,
                        struct weir_error *reterr) WEIR_MUST_CHECK;
bool text_interval(const char *text, size_t size, struct weir_interval *ret);
weir_status bytes_to_binary(struct weir_evaluation *evaluation, const struct weir_vector *from,
                            struct weir_vector *ret, struct weir_error *reterr) WEIR_MUST_CHECK;
bool cast_exists(const struct weir_type *from, const struct weir_type *to, bool implicit);

/* ---- binding of arguments ---- */
/* Argument i becomes `id` by an implicit cast; unknown literals too. */
weir_status bind_as(struct weir_arena *arena, struct weir_node *call, uint32_t argument,
                    enum weir_type_id id, struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status bind_wrong(const struct weir_node *call, struct weir_error *reterr) WEIR_MUST_CHECK;
bool type_is_number(const struct weir_type *type);
bool type_is_integer(const struct weir_type *type);

/* ---- functions_other.c ---- */
/* SHA-256 of the 64 bytes of `block` (NULL: none) and of data behind them; data may lie in ret. */
void expr_sha256(const uint8_t *block, struct weir_bytes data, uint8_t ret[32]);

/* ---- families: tables of functions, ended by a NULL name ---- */
extern const struct weir_function functions_arithmetic[];
extern const struct weir_function functions_number[];
extern const struct weir_function functions_string[];
extern const struct weir_function functions_regexp[];
extern const struct weir_function functions_time[];
extern const struct weir_function functions_time_window[];
extern const struct weir_function functions_format[];
extern const struct weir_function functions_printf[];
extern const struct weir_function functions_calendar[];
extern const struct weir_function functions_list[];
extern const struct weir_function functions_json[];
extern const struct weir_function functions_other[];
extern const struct weir_function functions_trade[];

#endif
