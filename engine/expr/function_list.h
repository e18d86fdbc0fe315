/* What the files of list and map functions share. Private to the room. */
#ifndef WEIR_ENGINE_EXPR_FUNCTION_LIST_H
#define WEIR_ENGINE_EXPR_FUNCTION_LIST_H

#include "engine/expr/function_int.h"

/* A list argument of any vector kind: row i has the elements [offsets[at], offsets[at + 1]) of
 * child, at = weir_lane(&lane, i). */
struct list_lane {
    struct weir_lane lane;
    const int32_t *offsets;
    const struct weir_vector *child;
};
struct list_lane list_lane_of(const struct weir_vector *vector);

#define LIST_NO_PICK UINT32_MAX
/* Row i of ret is element picks[i] of the child, null where that is LIST_NO_PICK or ret->validity
 * has it so. */
weir_status list_pick(struct weir_evaluation *evaluation, const struct weir_type *type,
                      const struct weir_vector *child, uint32_t *picks, struct weir_vector *ret,
                      struct weir_error *reterr) WEIR_MUST_CHECK;
/* list<element> */
weir_status list_type(struct weir_arena *arena, const struct weir_type *element,
                      struct weir_type *ret, struct weir_error *reterr) WEIR_MUST_CHECK;
/* Argument `at` is a list; NULL becomes one. */
weir_status list_bind(struct weir_arena *arena, struct weir_node *call, uint32_t at,
                      struct weir_error *reterr) WEIR_MUST_CHECK;
/* The elements of argument `list` and argument `value` come to one type. */
weir_status list_bind_element(struct weir_arena *arena, struct weir_node *call, uint32_t list,
                              uint32_t value, struct weir_error *reterr) WEIR_MUST_CHECK;
/* The first `count` arguments are lists and come to one type, which becomes the call's. */
weir_status list_bind_lists(struct weir_arena *arena, struct weir_node *call, uint32_t count,
                            struct weir_error *reterr) WEIR_MUST_CHECK;

extern const struct weir_function functions_lambda[];
extern const struct weir_function functions_list_make[];
extern const struct weir_function functions_map[];

#endif
