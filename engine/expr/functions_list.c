/* Functions that look at lists: their size, their elements, what they add up to. The elements of
 * all rows are one column, so each function is one pass over it, or picks rows of it. */
#include "engine/expr/function_list.h"

#include <math.h>
#include <string.h>

/* ---- binding ---- */

weir_status list_type(struct weir_arena *arena, const struct weir_type *element,
                      struct weir_type *ret, struct weir_error *reterr)
{
    struct weir_field *field;
    WEIR_TRY(weir_arena_zero(arena, 1, sizeof *field, &field, reterr));
    *field = (struct weir_field){.name = "element", .type = *element};
    *ret = (struct weir_type){.id = WEIR_LIST, .child_count = 1, .children = field};
    return WEIR_OK;
}

weir_status list_bind(struct weir_arena *arena, struct weir_node *call, uint32_t at,
                      struct weir_error *reterr)
{
    static const struct weir_type string = {.id = WEIR_STRING};
    struct weir_node **node = &call->arguments[at];
    struct weir_type type;
    if ((*node)->unknown && !weir_vector_valid(&(*node)->value, 0)) {
        WEIR_TRY(list_type(arena, &string, &type, reterr));
        return weir_node_cast(arena, *node, &type, true, false, node, reterr);
    }
    return (*node)->type.id == WEIR_LIST ? WEIR_OK : bind_wrong(call, reterr);
}

/* [] holds nothing: it is a list of whatever is wanted. */
static weir_status as_list_of(struct weir_arena *arena, const struct weir_type *element,
                              struct weir_node **node, struct weir_error *reterr)
{
    struct weir_type type;
    WEIR_TRY(list_type(arena, element, &type, reterr));
    bool empty = (*node)->kind == WEIR_NODE_LIST && (*node)->argument_count == 0;
    if (!empty && !((*node)->unknown && !weir_vector_valid(&(*node)->value, 0)))
        return weir_node_cast(arena, *node, &type, true, false, node, reterr);
    if (!empty)
        return weir_node_null(arena, &type, node, reterr);
    WEIR_TRY(weir_node_copy(arena, *node, NULL, NULL, node, reterr));
    (*node)->type = type;
    return WEIR_OK;
}

static bool is_empty(const struct weir_node *node)
{
    return node->unknown || (node->kind == WEIR_NODE_LIST && node->argument_count == 0);
}

weir_status list_bind_element(struct weir_arena *arena, struct weir_node *call, uint32_t list,
                              uint32_t value, struct weir_error *reterr)
{
    struct weir_node **left = &call->arguments[list], **right = &call->arguments[value];
    bool empty = is_empty(*left), null = (*left)->unknown;
    WEIR_TRY(list_bind(arena, call, list, reterr));
    struct weir_node element = {.type = (*left)->type.children[0].type, .unknown = empty};
    struct weir_type common;
    if (!weir_type_common(&element, *right, &common))
        return bind_wrong(call, reterr);
    (*left)->unknown = null; /* NULL is a list of whatever is looked for in it */
    WEIR_TRY(as_list_of(arena, &common, left, reterr));
    return weir_node_cast(arena, *right, &common, true, false, right, reterr);
}

weir_status list_bind_lists(struct weir_arena *arena, struct weir_node *call, uint32_t count,
                            struct weir_error *reterr)
{
    struct weir_node all = {.unknown = true, .type = {.id = WEIR_STRING}};
    for (uint32_t i = 0; i < count; i++) {
        struct weir_node *node = call->arguments[i];
        bool null = node->unknown && !weir_vector_valid(&node->value, 0);
        if (!null && node->type.id != WEIR_LIST)
            return bind_wrong(call, reterr);
        if (null || is_empty(node))
            continue;
        struct weir_node element = {.type = node->type.children[0].type};
        struct weir_type common;
        if (!weir_type_common(&all, &element, &common))
            return bind_wrong(call, reterr);
        all = (struct weir_node){.type = common};
    }
    for (uint32_t i = 0; i < count; i++)
        WEIR_TRY(as_list_of(arena, &all.type, &call->arguments[i], reterr));
    return list_type(arena, &all.type, &call->type, reterr);
}

static weir_status bind_length(struct weir_arena *arena, struct weir_node *call,
                               struct weir_error *reterr)
{
    struct weir_node *made;
    enum weir_type_id id = call->arguments[0]->type.id;
    if (id == WEIR_STRING && call->function->name[0] == 'l' &&
        strcmp(call->function->name, "list_count") != 0) {
        WEIR_TRY(weir_node_call(arena, "char_length", call->arguments, 1, call->location, &made,
                                reterr));
        *call = *made;
        return WEIR_OK;
    }
    if (id != WEIR_MAP)
        WEIR_TRY(list_bind(arena, call, 0, reterr));
    if (call->argument_count == 2) /* array_length(list, dimension) */
        WEIR_TRY(bind_as(arena, call, 1, WEIR_LONG, reterr));
    call->type = (struct weir_type){.id = WEIR_LONG};
    return WEIR_OK;
}

static weir_status bind_find(struct weir_arena *arena, struct weir_node *call,
                             struct weir_error *reterr)
{
    bool position = strstr(call->function->name, "position") ||
                    strstr(call->function->name, "ndexof");
    WEIR_TRY(list_bind_element(arena, call, 0, 1, reterr));
    call->type = (struct weir_type){.id = position ? WEIR_LONG : WEIR_BOOLEAN};
    return WEIR_OK;
}

static weir_status bind_has(struct weir_arena *arena, struct weir_node *call,
                            struct weir_error *reterr)
{
    WEIR_TRY(list_bind_lists(arena, call, 2, reterr));
    call->type = (struct weir_type){.id = WEIR_BOOLEAN};
    return WEIR_OK;
}

static weir_status bind_pick(struct weir_arena *arena, struct weir_node *call,
                             struct weir_error *reterr)
{
    if (call->argument_count == 2 && call->arguments[0]->type.id == WEIR_STRING) {
        struct weir_node *made, *arguments[3] = {call->arguments[0], call->arguments[1]};
        WEIR_TRY(weir_node_int(arena, 1, &arguments[2], reterr));
        WEIR_TRY(weir_node_call(arena, "substring", arguments, 3, call->location, &made, reterr));
        *call = *made;
        return WEIR_OK;
    }
    WEIR_TRY(list_bind(arena, call, 0, reterr));
    if (call->argument_count == 2)
        WEIR_TRY(bind_as(arena, call, 1, WEIR_LONG, reterr));
    call->type = call->arguments[0]->type.children[0].type;
    return WEIR_OK;
}

static weir_status bind_booleans(struct weir_arena *arena, struct weir_node *call,
                                 struct weir_error *reterr)
{
    WEIR_TRY(list_bind(arena, call, 0, reterr));
    call->type = (struct weir_type){.id = WEIR_BOOLEAN};
    return as_list_of(arena, &call->type, &call->arguments[0], reterr);
}

/* Sums: of integers a long, of decimals a wide decimal, else double; averages are doubles. */
static weir_status bind_sum(struct weir_arena *arena, struct weir_node *call,
                            struct weir_error *reterr)
{
    WEIR_TRY(list_bind(arena, call, 0, reterr));
    struct weir_type element = call->arguments[0]->type.children[0].type;
    bool sum = strstr(call->function->name, "sum") != NULL;
    call->type = (struct weir_type){.id = WEIR_DOUBLE};
    if (is_empty(call->arguments[0]) || element.id == WEIR_STRING)
        element = call->type;
    else if (!type_is_number(&element))
        return bind_wrong(call, reterr);
    if (sum && type_is_integer(&element))
        call->type = (struct weir_type){.id = WEIR_LONG};
    if (sum && element.id == WEIR_DECIMAL)
        call->type = (struct weir_type){
            .id = WEIR_DECIMAL, .precision = 38, .scale = element.scale};
    return as_list_of(arena, &call->type, &call->arguments[0], reterr);
}

/* ---- reading ---- */

struct list_lane list_lane_of(const struct weir_vector *vector)
{
    struct list_lane lane = {.lane = weir_lane_of(vector)};
    lane.offsets = lane.lane.flat->offsets;
    lane.child = lane.lane.flat->children;
    return lane;
}

static bool valid_at(const struct weir_vector *ret, uint32_t row)
{
    return !ret->validity || weir_bit_get(ret->validity, row);
}

static weir_status null_at(struct weir_evaluation *evaluation, struct weir_vector *ret,
                           bool *ret_own, uint32_t row, struct weir_error *reterr)
{
    if (!*ret_own) {
        uint8_t *own;
        WEIR_TRY(expr_bitmap(evaluation->arena, evaluation->count, true, &own, reterr));
        if (ret->validity)
            memcpy(own, ret->validity, ((size_t)evaluation->count + 7) / 8);
        ret->validity = own;
        *ret_own = true;
    }
    weir_bit_clear(ret->validity, row);
    return WEIR_OK;
}

weir_status list_pick(struct weir_evaluation *evaluation, const struct weir_type *type,
                      const struct weir_vector *child, uint32_t *picks, struct weir_vector *ret,
                      struct weir_error *reterr)
{
    struct weir_vector made;
    bool own = false, some = false;
    for (uint32_t i = 0; i < evaluation->count; i++) {
        if (picks[i] == LIST_NO_PICK || !valid_at(ret, i))
            WEIR_TRY(null_at(evaluation, ret, &own, i, reterr));
        else
            some = true;
        if (picks[i] == LIST_NO_PICK)
            picks[i] = 0;
    }
    if (!some) {
        WEIR_TRY(weir_vector_null(evaluation->arena, type, ret, reterr));
        ret->count = evaluation->count;
        return WEIR_OK;
    }
    WEIR_TRY(weir_vector_slice(evaluation->arena, child, picks, evaluation->count, &made, reterr));
    if (made.kind == WEIR_CONSTANT)
        WEIR_TRY(weir_vector_flatten(evaluation->arena, &made, &made, reterr));
    made.type = type;
    WEIR_TRY(expr_merge_validity(evaluation, ret, &made.validity, reterr));
    *ret = made;
    return WEIR_OK;
}

static weir_status new_picks(struct weir_evaluation *evaluation, uint32_t **ret,
                             struct weir_error *reterr)
{
    WEIR_TRY(weir_arena_alloc(evaluation->arena, ((size_t)evaluation->count + 16) * sizeof **ret,
                              ret, reterr));
    memset(*ret, 0xff, (size_t)evaluation->count * sizeof **ret);
    return WEIR_OK;
}

/* ---- sizes ---- */

static weir_status evaluate_length(struct weir_evaluation *evaluation, const struct weir_node *call,
                                   const struct weir_vector *arguments, struct weir_vector *ret,
                                   struct weir_error *reterr)
{
    bool count_only = strcmp(call->function->name, "list_count") == 0; /* those that are there */
    struct list_lane list = list_lane_of(&arguments[0]);
    const uint8_t *known = list.child->validity;
    WEIR_TRY(weir_result_flat(evaluation, &call->type, ret, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++) {
        uint32_t at = weir_lane(&list.lane, i);
        int64_t size = list.offsets[at + 1] - list.offsets[at];
        if (count_only && known)
            for (int32_t e = list.offsets[at]; e < list.offsets[at + 1]; e++)
                size -= !weir_bit_get(known, (size_t)e);
        ((int64_t *)ret->values)[i] = size;
    }
    return WEIR_OK;
}

/* ---- one element ---- */

static weir_status evaluate_extract(struct weir_evaluation *evaluation,
                                    const struct weir_node *call,
                                    const struct weir_vector *arguments, struct weir_vector *ret,
                                    struct weir_error *reterr)
{
    const char *name = call->function->name;
    bool last = strcmp(name, "list_last") == 0;
    struct list_lane list = list_lane_of(&arguments[0]);
    struct weir_lane at = weir_lane_of(&arguments[call->argument_count - 1]);
    uint32_t *picks;
    WEIR_TRY(new_picks(evaluation, &picks, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++) {
        uint32_t row = weir_lane(&list.lane, i);
        int64_t from = list.offsets[row], size = list.offsets[row + 1] - from;
        int64_t place = call->argument_count == 1
                            ? (last ? -1 : 1)
                            : ((const int64_t *)at.flat->values)[weir_lane(&at, i)];
        if (!valid_at(ret, i) || place > size || place < -size || place == 0)
            continue;
        picks[i] = (uint32_t)(from + (place > 0 ? place - 1 : size + place));
    }
    return list_pick(evaluation, &call->type, list.child, picks, ret, reterr);
}

static weir_status evaluate_any_value(struct weir_evaluation *evaluation,
                                      const struct weir_node *call,
                                      const struct weir_vector *arguments, struct weir_vector *ret,
                                      struct weir_error *reterr)
{
    struct list_lane list = list_lane_of(&arguments[0]);
    uint32_t *picks;
    WEIR_TRY(new_picks(evaluation, &picks, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++) {
        uint32_t row = weir_lane(&list.lane, i);
        for (int32_t e = list.offsets[row]; e < list.offsets[row + 1]; e++)
            if (weir_vector_valid(list.child, (size_t)e)) {
                picks[i] = (uint32_t)e;
                break;
            }
    }
    return list_pick(evaluation, &call->type, list.child, picks, ret, reterr);
}

/* NaN is above everything, as in ORDER BY. */
#define BEST(T, above)                                                                             \
    {                                                                                              \
        const T *values = list.child->values;                                                      \
        for (uint32_t i = 0; i < evaluation->count; i++) {                                         \
            uint32_t row = weir_lane(&list.lane, i), best = LIST_NO_PICK;                          \
            for (uint32_t e = (uint32_t)list.offsets[row]; e < (uint32_t)list.offsets[row + 1];    \
                 e++) {                                                                            \
                if (known && !weir_bit_get(known, e))                                              \
                    continue;                                                                      \
                if (best == LIST_NO_PICK) {                                                        \
                    best = e;                                                                      \
                    continue;                                                                      \
                }                                                                                  \
                T x = least ? values[best] : values[e], y = least ? values[e] : values[best];      \
                if (above)                                                                         \
                    best = e;                                                                      \
            }                                                                                      \
            picks[i] = best;                                                                       \
        }                                                                                          \
    }                                                                                              \
    break

static weir_status evaluate_best(struct weir_evaluation *evaluation, const struct weir_node *call,
                                 const struct weir_vector *arguments, struct weir_vector *ret,
                                 struct weir_error *reterr)
{
    bool least = strstr(call->function->name, "min") != NULL;
    struct list_lane list = list_lane_of(&arguments[0]);
    const uint8_t *known = list.child->validity;
    uint32_t *picks;
    bool flat = list.child->kind == WEIR_FLAT;
    WEIR_TRY(new_picks(evaluation, &picks, reterr));
    switch (flat ? call->type.id : WEIR_STRING) {
    case WEIR_INT:
    case WEIR_DATE: BEST(int32_t, x > y);
    case WEIR_LONG:
    case WEIR_TIME:
    case WEIR_TIMESTAMP:
    case WEIR_TIMESTAMPTZ: BEST(int64_t, x > y);
    case WEIR_FLOAT: BEST(float, x > y || (isnan(x) && !isnan(y)));
    case WEIR_DOUBLE: BEST(double, x > y || (isnan(x) && !isnan(y)));
    default:
        for (uint32_t i = 0; i < evaluation->count; i++) {
            uint32_t row = weir_lane(&list.lane, i), best = LIST_NO_PICK;
            for (uint32_t e = (uint32_t)list.offsets[row]; e < (uint32_t)list.offsets[row + 1];
                 e++) {
                if (!weir_vector_valid(list.child, e))
                    continue;
                int order = best == LIST_NO_PICK
                                ? 1
                                : weir_value_order(list.child, e, list.child, best);
                if (best == LIST_NO_PICK || (least ? order < 0 : order > 0))
                    best = e;
            }
            picks[i] = best;
        }
    }
    return list_pick(evaluation, &call->type, list.child, picks, ret, reterr);
}

/* ---- finding ---- */

#define FIND(T)                                                                                    \
    {                                                                                              \
        const T *values = list->child->values, wanted = ((const T *)value->flat->values)[at];      \
        for (int32_t e = from; e < to; e++)                                                        \
            if (values[e] == wanted && (!known || weir_bit_get(known, (size_t)e)))                 \
                return e - from + 1;                                                               \
        return 0;                                                                                  \
    }

static int64_t find_text(const struct list_lane *list, struct weir_bytes wanted, int32_t from,
                         int32_t to)
{
    struct weir_lane lane = weir_lane_of(list->child);
    for (int32_t e = from; e < to; e++) {
        if (!weir_lane_valid(&lane, (uint32_t)e))
            continue;
        struct weir_bytes text = weir_lane_bytes(&lane, (uint32_t)e);
        if (text.size == wanted.size && memcmp(text.data, wanted.data, text.size) == 0)
            return e - from + 1;
    }
    return 0;
}

/* Place of the value in a row's list, from 1; 0 = nowhere. */
static int64_t find(const struct list_lane *list, uint32_t row, const struct weir_vector *argument,
                    const struct weir_lane *value, uint32_t value_row)
{
    uint32_t at = weir_lane(value, value_row);
    int32_t from = list->offsets[row], to = list->offsets[row + 1];
    const uint8_t *known = list->child->validity;
    if (list->child->kind == WEIR_FLAT)
        switch (argument->type->id) {
        case WEIR_INT:
        case WEIR_DATE: FIND(int32_t)
        case WEIR_LONG:
        case WEIR_TIME:
        case WEIR_TIMESTAMP:
        case WEIR_TIMESTAMPTZ: FIND(int64_t)
        case WEIR_STRING: return find_text(list, weir_lane_bytes(value, value_row), from, to);
        default: break;
        }
    for (int32_t e = from; e < to; e++)
        if (weir_vector_valid(list->child, (size_t)e) &&
            weir_value_order(list->child, (uint32_t)e, argument, value_row) == 0)
            return e - from + 1;
    return 0;
}

/* PostgreSQL's positions tell nulls apart from nothing: a null is found where a null is. */
static int64_t find_null(const struct list_lane *list, uint32_t row)
{
    for (int32_t e = list->offsets[row]; e < list->offsets[row + 1]; e++)
        if (!weir_vector_valid(list->child, (size_t)e))
            return e - list->offsets[row] + 1;
    return 0;
}

static weir_status evaluate_find(struct weir_evaluation *evaluation, const struct weir_node *call,
                                 const struct weir_vector *arguments, struct weir_vector *ret,
                                 struct weir_error *reterr)
{
    struct list_lane list = list_lane_of(&arguments[0]);
    struct weir_lane value = weir_lane_of(&arguments[1]);
    bool position = call->type.id == WEIR_LONG, own = false;
    WEIR_TRY(weir_result_flat(evaluation, &call->type, ret, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++) {
        bool there = weir_lane_valid(&list.lane, i);
        if (!valid_at(ret, i))
            continue;
        int64_t place = 0;
        WEIR_TRY(weir_arena_check(evaluation->arena, reterr));
        if (there)
            place = weir_lane_valid(&value, i)
                        ? find(&list, weir_lane(&list.lane, i), &arguments[1], &value, i)
                        : find_null(&list, weir_lane(&list.lane, i));
        if (!position) {
            if (place)
                weir_bit_set(ret->values, i);
            continue;
        }
        ((int64_t *)ret->values)[i] = place;
        if (!place)
            WEIR_TRY(null_at(evaluation, ret, &own, i, reterr));
    }
    return WEIR_OK;
}

/* list_has_any, list_has_all: b's elements in a; nulls of b are passed over. */
static weir_status evaluate_has(struct weir_evaluation *evaluation, const struct weir_node *call,
                                const struct weir_vector *arguments, struct weir_vector *ret,
                                struct weir_error *reterr)
{
    const char *name = call->function->name;
    bool contained = strcmp(name, "<@") == 0,
         all = contained || strcmp(name, "@>") == 0 || strstr(name, "_all") != NULL;
    struct list_lane a = list_lane_of(&arguments[contained]),
                     b = list_lane_of(&arguments[!contained]);
    struct weir_lane item = weir_lane_of(b.child);
    WEIR_TRY(weir_result_flat(evaluation, &call->type, ret, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++) {
        uint32_t x = weir_lane(&a.lane, i), y = weir_lane(&b.lane, i);
        bool yes = all;
        if (!valid_at(ret, i))
            continue;
        for (int32_t e = b.offsets[y]; e < b.offsets[y + 1] && yes == all; e++) {
            if (e % 64 == 0)
                WEIR_TRY(weir_arena_check(evaluation->arena, reterr));
            if (weir_lane_valid(&item, (uint32_t)e))
                yes = find(&a, x, b.child, &item, (uint32_t)e) != 0;
        }
        if (yes)
            weir_bit_set(ret->values, i);
    }
    return WEIR_OK;
}

/* ---- sums and truths ---- */

/* Null where there is no element; DuckDB's: true AND null is true here, as aggregates have it. */
static weir_status evaluate_booleans(struct weir_evaluation *evaluation,
                                     const struct weir_node *call,
                                     const struct weir_vector *arguments, struct weir_vector *ret,
                                     struct weir_error *reterr)
{
    bool all = strstr(call->function->name, "and") != NULL, own = false;
    struct list_lane list = list_lane_of(&arguments[0]);
    struct weir_vector flat;
    struct weir_vector child = *list.child;
    child.count =
        (uint32_t)list.offsets[list.lane.flat->kind == WEIR_CONSTANT ? 1 : list.lane.flat->count];
    WEIR_TRY(weir_vector_flatten(evaluation->arena, &child, &flat, reterr));
    WEIR_TRY(weir_result_flat(evaluation, &call->type, ret, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++) {
        uint32_t row = weir_lane(&list.lane, i);
        bool some = false, yes = all;
        for (int32_t e = list.offsets[row]; e < list.offsets[row + 1]; e++) {
            if (flat.validity && !weir_bit_get(flat.validity, (size_t)e))
                continue;
            bool bit = weir_bit_get(flat.values, (size_t)e);
            some = true;
            yes = all ? yes & bit : yes | bit;
        }
        if (some && yes)
            weir_bit_set(ret->values, i);
        if (!some && valid_at(ret, i))
            WEIR_TRY(null_at(evaluation, ret, &own, i, reterr));
    }
    return WEIR_OK;
}

/* Of a row's elements; *ret_count those that are there. false: overflow. */
static bool sum_row(const struct list_lane *list, uint32_t row, enum weir_type_id id, void *ret,
                    int64_t *ret_count)
{
    struct weir_lane lane = weir_lane_of(list->child);
    int64_t total = 0;
    double real = 0;
    weir_int128 decimal = 0;
    bool good = true;
    *ret_count = 0;
    for (uint32_t e = (uint32_t)list->offsets[row]; e < (uint32_t)list->offsets[row + 1]; e++) {
        uint32_t at = weir_lane(&lane, e);
        if (!weir_lane_valid(&lane, e))
            continue;
        ++*ret_count;
        if (id == WEIR_LONG)
            good &= !__builtin_add_overflow(total, ((const int64_t *)lane.flat->values)[at],
                                            &total);
        else if (id == WEIR_DOUBLE)
            real += ((const double *)lane.flat->values)[at];
        else
            good &= !__builtin_add_overflow(decimal, ((const weir_int128 *)lane.flat->values)[at],
                                            &decimal);
    }
    if (id == WEIR_LONG)
        memcpy(ret, &total, sizeof total);
    else if (id == WEIR_DOUBLE)
        memcpy(ret, &real, sizeof real);
    else
        memcpy(ret, &decimal, sizeof decimal);
    return good;
}

static weir_status evaluate_sum(struct weir_evaluation *evaluation, const struct weir_node *call,
                                const struct weir_vector *arguments, struct weir_vector *ret,
                                struct weir_error *reterr)
{
    bool average = strstr(call->function->name, "sum") == NULL, own = false;
    struct list_lane list = list_lane_of(&arguments[0]);
    uint32_t width = weir_type_width(&call->type);
    WEIR_TRY(weir_result_flat(evaluation, &call->type, ret, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++) {
        uint8_t *out = (uint8_t *)ret->values + (size_t)i * width;
        int64_t count;
        memset(out, 0, width);
        if (!valid_at(ret, i))
            continue;
        if (!sum_row(&list, weir_lane(&list.lane, i), call->type.id, out, &count))
            WEIR_TRY(weir_evaluation_fail(evaluation, call, i, reterr, "%s out of range",
                                          weir_type_name(call->type.id)));
        if (count == 0)
            WEIR_TRY(null_at(evaluation, ret, &own, i, reterr));
        else if (average)
            ((double *)ret->values)[i] /= (double)count;
    }
    return WEIR_OK;
}

#define LIST(name, signature, doc, least, most, bind, evaluate)                                    \
    {                                                                                              \
        name, "lists", signature, doc, WEIR_FUNCTION_STRICT, least, most, bind, evaluate, NULL     \
    }
#define ONE(name, doc, bind, evaluate) LIST(name, name "(list)", doc, 1, 1, bind, evaluate)
#define PLACE(name)                                                                                \
    {                                                                                              \
        name, "lists", name "(list, x)", "place of x, from 1; null = nowhere", 0, 2, 2, bind_find, \
            evaluate_find, NULL                                                                    \
    }

const struct weir_function functions_list[] = {
    ONE("len", "number of elements, or of characters", bind_length, evaluate_length),
    ONE("cardinality", "number of elements", bind_length, evaluate_length),
    LIST("array_length", "array_length(list, dimension)", "number of elements", 1, 2, bind_length,
         evaluate_length),
    ONE("list_count", "number of elements that are not null", bind_length, evaluate_length),
    LIST("list_extract", "list_extract(list, n)",
         "the n-th element, from 1; negative: from the end", 2, 2, bind_pick, evaluate_extract),
    LIST("list_element", "list_element(list, n)",
         "the n-th element, from 1; negative: from the end", 2, 2, bind_pick, evaluate_extract),
    LIST("array_extract", "array_extract(list, n)",
         "the n-th element, from 1; negative: from the end", 2, 2, bind_pick, evaluate_extract),
    ONE("list_first", "the first element", bind_pick, evaluate_extract),
    ONE("list_last", "the last element", bind_pick, evaluate_extract),
    ONE("list_any_value", "the first element that is not null", bind_pick, evaluate_any_value),
    ONE("list_min", "the least element", bind_pick, evaluate_best),
    ONE("list_max", "the greatest element", bind_pick, evaluate_best),
    ONE("list_sum", "sum of the elements", bind_sum, evaluate_sum),
    ONE("list_avg", "mean of the elements", bind_sum, evaluate_sum),
    ONE("list_mean", "mean of the elements", bind_sum, evaluate_sum),
    ONE("list_bool_and", "whether all elements are true", bind_booleans, evaluate_booleans),
    ONE("list_bool_or", "whether some element is true", bind_booleans, evaluate_booleans),
    LIST("list_contains", "list_contains(list, x)", "whether x is an element", 2, 2, bind_find,
         evaluate_find),
    LIST("array_contains", "array_contains(list, x)", "whether x is an element", 2, 2, bind_find,
         evaluate_find),
    LIST("list_has", "list_has(list, x)", "whether x is an element", 2, 2, bind_find,
         evaluate_find),
    LIST("array_has", "array_has(list, x)", "whether x is an element", 2, 2, bind_find,
         evaluate_find),
    PLACE("list_position"),
    PLACE("array_position"),
    PLACE("list_indexof"),
    LIST("list_has_any", "list_has_any(a, b)", "whether they share an element", 2, 2, bind_has,
         evaluate_has),
    LIST("array_has_any", "array_has_any(a, b)", "whether they share an element", 2, 2, bind_has,
         evaluate_has),
    LIST("&&", "a && b", "whether they share an element", 2, 2, bind_has, evaluate_has),
    LIST("list_has_all", "list_has_all(a, b)", "whether all of b is in a", 2, 2, bind_has,
         evaluate_has),
    LIST("array_has_all", "array_has_all(a, b)", "whether all of b is in a", 2, 2, bind_has,
         evaluate_has),
    LIST("@>", "a @> b", "whether all of b is in a", 2, 2, bind_has, evaluate_has),
    LIST("<@", "a <@ b", "whether all of a is in b", 2, 2, bind_has, evaluate_has),
    {0},
};
