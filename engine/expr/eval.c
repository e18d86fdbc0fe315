/* Value of a node for every row of a batch. */
#include "engine/base/limits.h"
#include "engine/expr/function_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define PIECE ((size_t)16 << 20) /* bytes copied between two looks at whether to stop */

/* ---- what functions use ---- */

weir_status weir_evaluation_fail(struct weir_evaluation *evaluation, const struct weir_node *node,
                                 uint32_t row, struct weir_error *reterr, const char *format, ...)
{
    if (!evaluation->failed) {
        va_list arguments;
        WEIR_TRY(
            expr_bitmap(evaluation->arena, evaluation->count, false, &evaluation->failed, reterr));
        va_start(arguments, format);
        vsnprintf(evaluation->failed_text, sizeof evaluation->failed_text, format, arguments);
        va_end(arguments);
        evaluation->failed_node = node;
    }
    weir_bit_set(evaluation->failed, row);
    return WEIR_OK;
}

weir_status weir_result_flat(struct weir_evaluation *evaluation, const struct weir_type *type,
                             struct weir_vector *ret, struct weir_error *reterr)
{
    size_t count = evaluation->count, width = weir_type_width(type);
    ret->type = type;
    ret->kind = WEIR_FLAT;
    ret->count = evaluation->count;
    if (type->id == WEIR_BOOLEAN)
        return expr_bitmap(evaluation->arena, evaluation->count, false, (uint8_t **)&ret->values,
                           reterr);
    if (width)
        return weir_arena_alloc(evaluation->arena, count * width + 64, &ret->values, reterr);
    return weir_arena_zero(evaluation->arena, count + 17, sizeof(int32_t), &ret->offsets, reterr);
}

weir_status expr_merge_validity(struct weir_evaluation *evaluation, const struct weir_vector *a,
                                uint8_t **validity, struct weir_error *reterr)
{
    uint8_t *merged;
    size_t size = ((size_t)evaluation->count + 7) / 8;
    if (!a->validity)
        return WEIR_OK;
    if (a->kind == WEIR_CONSTANT) {
        if (weir_bit_get(a->validity, 0))
            return WEIR_OK;
        return expr_bitmap(evaluation->arena, evaluation->count, false, validity, reterr);
    }
    if (!*validity) {
        *validity = a->validity;
        return WEIR_OK;
    }
    WEIR_TRY(expr_bitmap(evaluation->arena, evaluation->count, false, &merged, reterr));
    for (size_t i = 0; i < size; i++)
        merged[i] = (*validity)[i] & a->validity[i];
    *validity = merged;
    return WEIR_OK;
}

weir_status text_begin(struct text_writer *writer, struct weir_evaluation *evaluation,
                       const struct weir_type *type, struct weir_vector *ret,
                       struct weir_error *reterr)
{
    *writer = (struct text_writer){.evaluation = evaluation, .ret = ret};
    weir_buffer_init(&writer->buffer, evaluation->arena->account);
    return weir_result_flat(evaluation, type, ret, reterr);
}

weir_status text_row(struct text_writer *writer, struct weir_error *reterr)
{
    if (writer->buffer.size > WEIR_BATCH_BYTES_MAX)
        return weir_fail(reterr, WEIR_NO_MEMORY, "a batch of strings of more than %u bytes",
                         WEIR_BATCH_BYTES_MAX);
    int32_t end = (int32_t)writer->buffer.size, start = writer->ret->offsets[writer->row];
    writer->ret->offsets[++writer->row] = end;
    if (writer->row % 64 == 0 || end - start > 4096)
        return weir_arena_check(writer->evaluation->arena, reterr);
    return WEIR_OK;
}

weir_status text_finish(struct text_writer *writer, weir_status status, struct weir_error *reterr)
{
    if (status == WEIR_OK)
        status = weir_arena_alloc(writer->evaluation->arena, writer->buffer.size + 64,
                                  &writer->ret->values, reterr);
    for (size_t at = 0, piece; status == WEIR_OK && at < writer->buffer.size; at += piece) {
        piece = writer->buffer.size - at < PIECE ? writer->buffer.size - at : PIECE;
        memcpy((uint8_t *)writer->ret->values + at, writer->buffer.data + at, piece);
        if (piece == PIECE)
            status = weir_arena_check(writer->evaluation->arena, reterr);
    }
    weir_buffer_done(&writer->buffer);
    return status;
}

/* ---- parts of structs ---- */

static weir_status eval_field(struct weir_evaluation *evaluation, const struct weir_node *node,
                              struct weir_vector *ret, struct weir_error *reterr)
{
    struct weir_vector parent;
    WEIR_TRY(weir_node_evaluate(evaluation, node->arguments[0], &parent, reterr));
    struct weir_vector child = parent.children[node->index];
    if (parent.kind == WEIR_CONSTANT) {
        if (!weir_vector_valid(&parent, 0))
            return weir_vector_null(evaluation->arena, &node->type, ret, reterr);
        WEIR_TRY(weir_vector_flatten(evaluation->arena, &child, &child, reterr));
        child.kind = WEIR_CONSTANT;
    }
    child.count = evaluation->count;
    if (parent.kind != WEIR_CONSTANT && parent.validity) {
        if (child.kind == WEIR_CONSTANT)
            WEIR_TRY(weir_vector_flatten(evaluation->arena, &child, &child, reterr));
        WEIR_TRY(expr_merge_validity(evaluation, &parent, &child.validity, reterr));
        expr_count_nulls(&child);
    }
    *ret = child;
    return WEIR_OK;
}

static weir_status eval_struct(struct weir_evaluation *evaluation, const struct weir_node *node,
                               struct weir_vector *ret, struct weir_error *reterr)
{
    struct weir_vector made = {.type = &node->type, .count = evaluation->count};
    WEIR_TRY(weir_arena_zero(evaluation->arena, node->argument_count + 1, sizeof *made.children,
                             &made.children, reterr));
    for (uint32_t i = 0; i < node->argument_count; i++) {
        WEIR_TRY(weir_node_evaluate(evaluation, node->arguments[i], &made.children[i], reterr));
        made.children[i].count = evaluation->count;
        WEIR_TRY(
            weir_vector_flatten(evaluation->arena, &made.children[i], &made.children[i], reterr));
    }
    *ret = made;
    return WEIR_OK;
}

/* [a, b, ...]: each row's elements side by side. */
static weir_status eval_list(struct weir_evaluation *evaluation, const struct weir_node *node,
                             struct weir_vector *ret, struct weir_error *reterr)
{
    uint32_t width = node->argument_count, count = evaluation->count;
    struct weir_arena *arena = evaluation->arena;
    struct weir_vector made = {.type = &node->type, .count = count}, all, *parts;
    WEIR_TRY(
        weir_arena_zero(arena, (size_t)count + 17, sizeof *made.offsets, &made.offsets, reterr));
    WEIR_TRY(weir_arena_zero(arena, 1, sizeof *made.children, &made.children, reterr));
    WEIR_TRY(weir_arena_zero(arena, width + 1, sizeof *parts, &parts, reterr));
    const struct weir_type *element = &node->type.children[0].type;
    for (uint32_t i = 0; i < width; i++) {
        WEIR_TRY(weir_node_evaluate(evaluation, node->arguments[i], &parts[i], reterr));
        parts[i].count = count;
    }
    for (uint32_t row = 0; row < count; row++)
        made.offsets[row + 1] = (int32_t)((row + 1) * width);
    WEIR_TRY(weir_vectors_interleave(arena, parts, width, count, element, &all, reterr));
    made.children[0] = all;
    *ret = made;
    return WEIR_OK;
}

/* ---- three-valued logic ---- */

static weir_status flat_bits(struct weir_evaluation *evaluation, struct weir_vector *vector,
                             struct weir_error *reterr)
{
    vector->count = evaluation->count;
    return weir_vector_flatten(evaluation->arena, vector, vector, reterr);
}

/* AND: false wins over unknown; OR: true does. A row that failed in one argument does not fail if
 * another decides it. */
static weir_status eval_logic(struct weir_evaluation *evaluation, const struct weir_node *node,
                              struct weir_vector *ret, struct weir_error *reterr)
{
    bool any = node->kind == WEIR_NODE_OR, some_unknown = false;
    size_t size = ((size_t)evaluation->count + 7) / 8;
    uint8_t *unknown, *result, *before = evaluation->failed, *failed = NULL;
    WEIR_TRY(expr_bitmap(evaluation->arena, evaluation->count, false, &unknown, reterr));
    WEIR_TRY(expr_bitmap(evaluation->arena, evaluation->count, !any, &result, reterr));
    for (uint32_t a = 0; a < node->argument_count; a++) {
        struct weir_vector value;
        evaluation->failed = NULL;
        WEIR_TRY(weir_node_evaluate(evaluation, node->arguments[a], &value, reterr));
        WEIR_TRY(flat_bits(evaluation, &value, reterr));
        if (evaluation->failed && !failed)
            WEIR_TRY(expr_bitmap(evaluation->arena, evaluation->count, false, &failed, reterr));
        const uint8_t *bits = value.values;
        for (size_t i = 0; i < size; i++) {
            uint8_t known = value.validity ? value.validity[i] : 0xff;
            uint8_t open = any ? (uint8_t)~result[i] : result[i]; /* not decided by those before */
            if (evaluation->failed)
                failed[i] |= evaluation->failed[i] & open;
            unknown[i] |= (uint8_t)~known;
            if (any)
                result[i] |= bits[i] & known;
            else
                result[i] &= (uint8_t)(bits[i] | ~known);
        }
        some_unknown |= value.validity != NULL;
    }
    evaluation->failed = before;
    for (size_t i = 0; failed && i < size; i++) { /* decided later: no failure */
        failed[i] &= any ? (uint8_t)~result[i] : result[i];
        unknown[i] |= failed[i];
    }
    if (failed) {
        some_unknown = true;
        if (!before)
            evaluation->failed = failed;
        else
            for (size_t i = 0; i < size; i++)
                before[i] |= failed[i];
    }
    *ret = (struct weir_vector){.type = &node->type, .count = evaluation->count, .values = result};
    if (!some_unknown)
        return WEIR_OK;
    WEIR_TRY(expr_bitmap(evaluation->arena, evaluation->count, true, &ret->validity, reterr));
    for (size_t i = 0; i < size; i++)
        ret->validity[i] = any ? (uint8_t)(result[i] | ~unknown[i])
                               : (uint8_t)(~result[i] | ~unknown[i]);
    expr_count_nulls(ret);
    return WEIR_OK;
}

static weir_status eval_not(struct weir_evaluation *evaluation, const struct weir_node *node,
                            struct weir_vector *ret, struct weir_error *reterr)
{
    uint8_t *bits;
    WEIR_TRY(weir_node_evaluate(evaluation, node->arguments[0], ret, reterr));
    WEIR_TRY(flat_bits(evaluation, ret, reterr));
    WEIR_TRY(expr_bitmap(evaluation->arena, evaluation->count, false, &bits, reterr));
    for (size_t i = 0; i < ((size_t)evaluation->count + 7) / 8; i++)
        bits[i] = (uint8_t) ~((const uint8_t *)ret->values)[i];
    ret->values = bits;
    return WEIR_OK;
}

static weir_status eval_test(struct weir_evaluation *evaluation, const struct weir_node *node,
                             struct weir_vector *ret, struct weir_error *reterr)
{
    struct weir_vector value;
    uint8_t *bits;
    WEIR_TRY(weir_node_evaluate(evaluation, node->arguments[0], &value, reterr));
    if (node->kind == WEIR_NODE_IS_TRUE)
        WEIR_TRY(flat_bits(evaluation, &value, reterr));
    WEIR_TRY(expr_bitmap(evaluation->arena, evaluation->count, false, &bits, reterr));
    bool all_valid = !value.validity ||
                     (value.kind == WEIR_CONSTANT && weir_bit_get(value.validity, 0)),
         all_null = value.kind == WEIR_CONSTANT && !all_valid;
    for (size_t i = 0; i < ((size_t)evaluation->count + 7) / 8; i++) {
        uint8_t known = all_valid ? 0xff : all_null ? 0 : value.validity[i];
        uint8_t yes = node->kind == WEIR_NODE_IS_NULL
                          ? (uint8_t)~known
                          : (uint8_t)(known & ((const uint8_t *)value.values)[i]);
        bits[i] = node->negated ? (uint8_t)~yes : yes;
    }
    *ret = (struct weir_vector){.type = &node->type, .count = evaluation->count, .values = bits};
    return WEIR_OK;
}

/* ---- CASE, COALESCE ---- */

/* Which argument gives each row; rows that failed in a branch not taken did not fail. */
struct choice {
    struct weir_vector *values; /* of the branches that somebody takes */
    uint32_t *source;           /* per row */
    uint8_t *failed;
};

static weir_status choose(struct weir_evaluation *evaluation, const struct weir_type *type,
                          struct choice *choice, struct weir_vector *ret, struct weir_error *reterr)
{
    return weir_vectors_choose(evaluation->arena, choice->values, choice->source, evaluation->count,
                               type, ret, reterr);
}

/* Evaluates a branch for the rows of `taken`, notes its failures among them. */
static weir_status branch(struct weir_evaluation *evaluation, const struct weir_node *node,
                          const uint8_t *taken, struct choice *choice, struct weir_vector *ret,
                          struct weir_error *reterr)
{
    size_t size = ((size_t)evaluation->count + 7) / 8;
    evaluation->failed = NULL;
    WEIR_TRY(weir_node_evaluate(evaluation, node, ret, reterr));
    if (!evaluation->failed)
        return WEIR_OK;
    if (!choice->failed)
        WEIR_TRY(expr_bitmap(evaluation->arena, evaluation->count, false, &choice->failed, reterr));
    for (size_t i = 0; i < size; i++)
        choice->failed[i] |= evaluation->failed[i] & taken[i];
    return WEIR_OK;
}

static weir_status end_choice(struct weir_evaluation *evaluation, struct choice *choice,
                              uint8_t *before, struct weir_error *reterr)
{
    (void)reterr;
    evaluation->failed = before;
    if (!choice->failed || !weir_bits_count(choice->failed, evaluation->count))
        return WEIR_OK;
    if (!before)
        evaluation->failed = choice->failed;
    else
        for (size_t i = 0; i < ((size_t)evaluation->count + 7) / 8; i++)
            before[i] |= choice->failed[i];
    return WEIR_OK;
}

static void assign(struct choice *choice, const uint8_t *taken, uint32_t count, uint32_t which)
{
    for (uint32_t i = 0; i < count; i++)
        if (weir_bit_get(taken, i))
            choice->source[i] = which;
}

static weir_status eval_case(struct weir_evaluation *evaluation, const struct weir_node *node,
                             struct weir_vector *ret, struct weir_error *reterr)
{
    uint32_t whens = node->argument_count / 2, count = evaluation->count;
    size_t size = ((size_t)count + 7) / 8;
    uint8_t *open, *taken, *before = evaluation->failed;
    struct choice choice = {0};
    WEIR_TRY(expr_bitmap(evaluation->arena, count, false, &open, reterr));
    for (uint32_t i = 0; i < count; i++)
        weir_bit_set(open, i);
    WEIR_TRY(expr_bitmap(evaluation->arena, count, false, &taken, reterr));
    WEIR_TRY(weir_arena_zero(evaluation->arena, whens + 1, sizeof *choice.values, &choice.values,
                             reterr));
    WEIR_TRY(weir_arena_zero(evaluation->arena, (size_t)count + 1, sizeof *choice.source,
                             &choice.source, reterr));
    for (uint32_t w = 0; w <= whens; w++) {
        struct weir_vector condition;
        if (!weir_bits_count(open, count))
            break;
        if (w < whens) {
            WEIR_TRY(branch(evaluation, node->arguments[w * 2], open, &choice, &condition, reterr));
            WEIR_TRY(flat_bits(evaluation, &condition, reterr));
            for (size_t i = 0; i < size; i++) {
                taken[i] = ((const uint8_t *)condition.values)[i] & open[i] &
                           (condition.validity ? condition.validity[i] : 0xff);
                open[i] &= (uint8_t)~taken[i];
            }
        } else {
            memcpy(taken, open, size);
        }
        if (!weir_bits_count(taken, count))
            continue;
        WEIR_TRY(branch(evaluation, node->arguments[w < whens ? w * 2 + 1 : w * 2], taken, &choice,
                        &choice.values[w], reterr));
        assign(&choice, taken, count, w);
    }
    WEIR_TRY(end_choice(evaluation, &choice, before, reterr));
    return choose(evaluation, &node->type, &choice, ret, reterr);
}

static weir_status eval_coalesce(struct weir_evaluation *evaluation, const struct weir_node *node,
                                 struct weir_vector *ret, struct weir_error *reterr)
{
    uint32_t count = evaluation->count;
    size_t size = ((size_t)count + 7) / 8;
    uint8_t *open, *taken, *before = evaluation->failed;
    struct choice choice = {0};
    WEIR_TRY(expr_bitmap(evaluation->arena, count, false, &open, reterr));
    for (uint32_t i = 0; i < count; i++)
        weir_bit_set(open, i);
    WEIR_TRY(expr_bitmap(evaluation->arena, count, false, &taken, reterr));
    WEIR_TRY(weir_arena_zero(evaluation->arena, node->argument_count + 1, sizeof *choice.values,
                             &choice.values, reterr));
    WEIR_TRY(weir_arena_zero(evaluation->arena, (size_t)count + 1, sizeof *choice.source,
                             &choice.source, reterr));
    for (uint32_t a = 0; a < node->argument_count; a++) {
        struct weir_vector *value = &choice.values[a];
        bool last = a + 1 == node->argument_count;
        if (a && !weir_bits_count(open, count))
            break;
        WEIR_TRY(branch(evaluation, node->arguments[a], open, &choice, value, reterr));
        struct weir_lane lane = weir_lane_of(value);
        for (size_t i = 0; i < size; i++) {
            uint8_t known = !value->validity ? 0xff
                            : value->kind == WEIR_CONSTANT
                                ? (uint8_t)(weir_lane_valid(&lane, 0) * 0xff)
                                : value->validity[i];
            taken[i] = last ? open[i] : open[i] & known;
            open[i] &= (uint8_t)~taken[i];
        }
        assign(&choice, taken, count, a);
    }
    WEIR_TRY(end_choice(evaluation, &choice, before, reterr));
    return choose(evaluation, &node->type, &choice, ret, reterr);
}

/* ---- calls ---- */

static bool all_null(const struct weir_vector *vector)
{
    return vector->kind == WEIR_CONSTANT && !weir_vector_valid(vector, 0);
}

static weir_status call_plain(struct weir_evaluation *evaluation, const struct weir_node *node,
                              const struct weir_vector *arguments, struct weir_vector *ret,
                              struct weir_error *reterr)
{
    struct weir_vector made = {.type = &node->type, .count = evaluation->count};
    if (node->function->flags & WEIR_FUNCTION_STRICT)
        for (uint32_t i = 0; i < node->argument_count; i++) {
            if (node->arguments[i]->kind == WEIR_NODE_LAMBDA)
                continue;
            if (all_null(&arguments[i])) {
                WEIR_TRY(weir_vector_null(evaluation->arena, &node->type, ret, reterr));
                ret->count = evaluation->count;
                return WEIR_OK;
            }
            WEIR_TRY(expr_merge_validity(evaluation, &arguments[i], &made.validity, reterr));
        }
    WEIR_TRY(node->function->evaluate(evaluation, node, arguments, &made, reterr));
    expr_count_nulls(&made);
    *ret = made;
    return WEIR_OK;
}

/* A function of one dictionary and constants is worked out once an entry. */
static weir_status call_dictionary(struct weir_evaluation *evaluation, const struct weir_node *node,
                                   struct weir_vector *arguments, uint32_t which, bool *ret_done,
                                   struct weir_vector *ret, struct weir_error *reterr)
{
    struct weir_vector whole = arguments[which], *dictionary = whole.dictionary, *entries;
    struct weir_evaluation inner = {
        .batch = evaluation->batch, .arena = evaluation->arena, .count = dictionary->count};
    *ret_done = false;
    WEIR_TRY(weir_arena_zero(evaluation->arena, 1, sizeof *entries, &entries, reterr));
    arguments[which] = *dictionary;
    weir_status status = call_plain(&inner, node, arguments, entries, reterr);
    arguments[which] = whole;
    if (status != WEIR_OK || inner.failed || entries->kind != WEIR_FLAT)
        return status;
    struct weir_vector made = {.type = &node->type,
                               .kind = WEIR_DICTIONARY,
                               .count = evaluation->count,
                               .indices = whole.indices,
                               .dictionary = entries};
    if (entries->validity) { /* nulls of entries become nulls of rows */
        WEIR_TRY(expr_bitmap(evaluation->arena, evaluation->count, false, &made.validity, reterr));
        for (uint32_t i = 0; i < evaluation->count; i++)
            if (weir_vector_valid(&whole, i) && weir_bit_get(entries->validity, whole.indices[i]))
                weir_bit_set(made.validity, i);
    } else {
        made.validity = whole.validity;
    }
    expr_count_nulls(&made);
    *ret = made;
    *ret_done = true;
    return WEIR_OK;
}

static weir_status eval_call(struct weir_evaluation *evaluation, const struct weir_node *node,
                             struct weir_vector *ret, struct weir_error *reterr)
{
    struct weir_vector *arguments;
    uint32_t which = UINT32_MAX;
    bool dictionary = (node->function->flags & WEIR_FUNCTION_STRICT) &&
                      !(node->function->flags & WEIR_FUNCTION_VOLATILE) &&
                      !weir_type_is_nested(node->type.id),
         done = false;
    WEIR_TRY(weir_arena_zero(evaluation->arena, node->argument_count + 1, sizeof *arguments,
                             &arguments, reterr));
    for (uint32_t i = 0; i < node->argument_count; i++) {
        if (node->arguments[i]->kind == WEIR_NODE_LAMBDA) {
            dictionary = false;
            continue;
        }
        WEIR_TRY(weir_node_evaluate(evaluation, node->arguments[i], &arguments[i], reterr));
        arguments[i].count = evaluation->count;
        if (arguments[i].kind == WEIR_CONSTANT)
            continue;
        dictionary = dictionary && which == UINT32_MAX && arguments[i].kind == WEIR_DICTIONARY &&
                     arguments[i].dictionary->count <= evaluation->count;
        which = i;
    }
    if (dictionary && which != UINT32_MAX)
        WEIR_TRY(call_dictionary(evaluation, node, arguments, which, &done, ret, reterr));
    return done ? WEIR_OK : call_plain(evaluation, node, arguments, ret, reterr);
}

/* ---- comparison and casts ---- */

static weir_status eval_comparison(struct weir_evaluation *evaluation, const struct weir_node *node,
                                   struct weir_vector *ret, struct weir_error *reterr)
{
    struct weir_vector a, b;
    WEIR_TRY(weir_node_evaluate(evaluation, node->arguments[0], &a, reterr));
    WEIR_TRY(weir_node_evaluate(evaluation, node->arguments[1], &b, reterr));
    a.count = b.count = evaluation->count;
    WEIR_TRY(eval_compare(evaluation, node->compare, &a, &b, ret, reterr));
    ret->type = &node->type;
    return WEIR_OK;
}

static weir_status eval_in(struct weir_evaluation *evaluation, const struct weir_node *node,
                           struct weir_vector *ret, struct weir_error *reterr)
{
    static const struct weir_type boolean = {.id = WEIR_BOOLEAN};
    struct weir_vector value;
    size_t size = ((size_t)evaluation->count + 7) / 8;
    uint8_t *bits;
    bool null_item = false;
    WEIR_TRY(weir_node_evaluate(evaluation, node->arguments[0], &value, reterr));
    value.count = evaluation->count;
    WEIR_TRY(expr_bitmap(evaluation->arena, evaluation->count, false, &bits, reterr));
    if (node->prepared)
        WEIR_TRY(in_set_bits(evaluation, node, &value, bits, &null_item, reterr));
    for (uint32_t i = 1; !node->prepared && i < node->argument_count; i++) {
        struct weir_vector equal = {.type = &boolean}, item = node->arguments[i]->value;
        item.count = evaluation->count;
        if (!weir_vector_valid(&item, 0)) {
            null_item = true;
            continue;
        }
        WEIR_TRY(eval_compare(evaluation, WEIR_EQ, &value, &item, &equal, reterr));
        WEIR_TRY(flat_bits(evaluation, &equal, reterr));
        for (size_t b = 0; b < size; b++)
            bits[b] |= ((const uint8_t *)equal.values)[b] &
                       (equal.validity ? equal.validity[b] : 0xff);
    }
    *ret = (struct weir_vector){.type = &node->type, .count = evaluation->count, .values = bits};
    WEIR_TRY(expr_merge_validity(evaluation, &value, &ret->validity, reterr));
    if (null_item) { /* not found: it might be the null */
        uint8_t *known;
        WEIR_TRY(expr_bitmap(evaluation->arena, evaluation->count, false, &known, reterr));
        for (size_t b = 0; b < size; b++)
            known[b] = bits[b] & (ret->validity ? ret->validity[b] : 0xff);
        ret->validity = known;
    }
    if (node->negated) {
        uint8_t *turned;
        WEIR_TRY(expr_bitmap(evaluation->arena, evaluation->count, false, &turned, reterr));
        for (size_t b = 0; b < size; b++)
            turned[b] = (uint8_t)~bits[b];
        ret->values = turned;
    }
    expr_count_nulls(ret);
    return WEIR_OK;
}

static weir_status eval_cast_node(struct weir_evaluation *evaluation, const struct weir_node *node,
                                  struct weir_vector *ret, struct weir_error *reterr)
{
    struct weir_vector from;
    WEIR_TRY(weir_node_evaluate(evaluation, node->arguments[0], &from, reterr));
    from.count = evaluation->count;
    if (all_null(&from)) {
        WEIR_TRY(weir_vector_null(evaluation->arena, &node->type, ret, reterr));
        ret->count = evaluation->count;
        return WEIR_OK;
    }
    return eval_cast(evaluation, node, &from, ret, reterr);
}

weir_status weir_node_evaluate(struct weir_evaluation *evaluation, const struct weir_node *node,
                               struct weir_vector *ret_value, struct weir_error *reterr)
{
    if (node->argument_count)
        WEIR_TRY(weir_arena_check(evaluation->arena, reterr));
    switch (node->kind) {
    case WEIR_NODE_COLUMN: *ret_value = evaluation->batch->columns[node->index]; return WEIR_OK;
    case WEIR_NODE_CONSTANT:
        *ret_value = node->value;
        ret_value->count = evaluation->count;
        return WEIR_OK;
    case WEIR_NODE_FIELD: return eval_field(evaluation, node, ret_value, reterr);
    case WEIR_NODE_CALL: return eval_call(evaluation, node, ret_value, reterr);
    case WEIR_NODE_AND:
    case WEIR_NODE_OR: return eval_logic(evaluation, node, ret_value, reterr);
    case WEIR_NODE_NOT: return eval_not(evaluation, node, ret_value, reterr);
    case WEIR_NODE_COMPARE: return eval_comparison(evaluation, node, ret_value, reterr);
    case WEIR_NODE_IS_NULL:
    case WEIR_NODE_IS_TRUE: return eval_test(evaluation, node, ret_value, reterr);
    case WEIR_NODE_IN: return eval_in(evaluation, node, ret_value, reterr);
    case WEIR_NODE_CASE: return eval_case(evaluation, node, ret_value, reterr);
    case WEIR_NODE_COALESCE: return eval_coalesce(evaluation, node, ret_value, reterr);
    case WEIR_NODE_CAST: return eval_cast_node(evaluation, node, ret_value, reterr);
    case WEIR_NODE_STRUCT: return eval_struct(evaluation, node, ret_value, reterr);
    case WEIR_NODE_LIST: return eval_list(evaluation, node, ret_value, reterr);
    default:
        return weir_fail(reterr, WEIR_INTERNAL, "an expression of kind %d has no value",
                         node->kind);
    }
}

/* ---- what operators call ---- */

static weir_status failed_rows(const struct weir_evaluation *evaluation, int *ret_location,
                               struct weir_error *reterr)
{
    if (ret_location)
        *ret_location = evaluation->failed_node ? evaluation->failed_node->location : -1;
    return weir_fail(reterr, WEIR_FAILED, "%s", evaluation->failed_text);
}

weir_status weir_node_value_of(const struct weir_node *node, const struct weir_batch *batch,
                               struct weir_arena *arena, struct weir_vector *ret_value,
                               int *ret_location, struct weir_error *reterr)
{
    struct weir_evaluation evaluation = {.batch = batch, .arena = arena, .count = batch->count};
    WEIR_TRY(weir_node_evaluate(&evaluation, node, ret_value, reterr));
    ret_value->count = batch->count;
    return evaluation.failed ? failed_rows(&evaluation, ret_location, reterr) : WEIR_OK;
}

/* Rows that are true; *rows NULL when all are. */
static weir_status true_rows(const struct weir_vector *value, uint32_t count,
                             struct weir_arena *arena, struct weir_selection *ret,
                             struct weir_error *reterr)
{
    uint32_t *rows, found = 0;
    const uint8_t *bits = value->values;
    if (value->kind == WEIR_CONSTANT) {
        bool yes = weir_vector_valid(value, 0) && weir_bit_get(bits, 0);
        *ret = (struct weir_selection){yes ? count : 0, NULL};
        return WEIR_OK;
    }
    WEIR_TRY(weir_arena_alloc(arena, ((size_t)count + 64) * sizeof *rows, &rows, reterr));
    for (uint32_t base = 0; base < count; base += 64) {
        uint64_t word, known;
        memcpy(&word, bits + base / 8, 8);
        if (value->validity) {
            memcpy(&known, value->validity + base / 8, 8);
            word &= known;
        }
        if (count - base < 64)
            word &= ((uint64_t)1 << (count - base)) - 1;
        while (word) {
            rows[found++] = base + (uint32_t)__builtin_ctzll(word);
            word &= word - 1;
        }
    }
    *ret = (struct weir_selection){found, found == count ? NULL : rows};
    return WEIR_OK;
}

static bool uses_column(void *self, const struct weir_node *node)
{
    if (node->kind == WEIR_NODE_COLUMN)
        weir_bit_set(self, node->index);
    if (node->kind != WEIR_NODE_LAMBDA)
        return true;
    for (uint32_t i = 0; i < node->capture_count; i++)
        weir_node_walk(node->captures[i], uses_column, self);
    return false;
}

/* The columns that the condition looks at, at the rows that are left. */
static weir_status narrowed(const struct weir_node *node, const struct weir_batch *batch,
                            const struct weir_selection *rows, struct weir_arena *arena,
                            struct weir_batch *ret, struct weir_error *reterr)
{
    uint32_t width = batch->type->child_count;
    uint8_t *used;
    *ret = (struct weir_batch){.type = batch->type, .count = rows->count};
    WEIR_TRY(expr_bitmap(arena, width, false, &used, reterr));
    WEIR_TRY(weir_arena_zero(arena, width + 1, sizeof *ret->columns, &ret->columns, reterr));
    weir_node_walk(node, uses_column, used);
    for (uint32_t i = 0; i < width; i++)
        if (weir_bit_get(used, i))
            WEIR_TRY(weir_vector_slice(arena, &batch->columns[i], rows->rows, rows->count,
                                       &ret->columns[i], reterr));
    return WEIR_OK;
}

static weir_status select_one(const struct weir_node *node, const struct weir_batch *batch,
                              struct weir_arena *arena, struct weir_selection *selection,
                              int *ret_location, struct weir_error *reterr)
{
    struct weir_batch inner = *batch;
    struct weir_vector value;
    struct weir_selection found;
    struct weir_evaluation evaluation = {.batch = &inner, .arena = arena};
    if (selection->rows)
        WEIR_TRY(narrowed(node, batch, selection, arena, &inner, reterr));
    evaluation.count = inner.count;
    WEIR_TRY(weir_node_evaluate(&evaluation, node, &value, reterr));
    if (evaluation.failed)
        return failed_rows(&evaluation, ret_location, reterr);
    if (value.kind == WEIR_DICTIONARY) {
        value.count = inner.count;
        WEIR_TRY(weir_vector_flatten(arena, &value, &value, reterr));
    }
    WEIR_TRY(true_rows(&value, inner.count, arena, &found, reterr));
    if (selection->rows && found.rows) {
        uint32_t *rows = (uint32_t *)found.rows;
        for (uint32_t i = 0; i < found.count; i++)
            rows[i] = selection->rows[rows[i]];
        selection->rows = rows;
    } else if (found.rows || found.count == 0) {
        selection->rows = found.rows;
    }
    selection->count = found.count;
    return WEIR_OK;
}

weir_status weir_node_select(const struct weir_node *node, const struct weir_batch *batch,
                             struct weir_arena *arena, struct weir_selection *ret_selection,
                             int *ret_location, struct weir_error *reterr)
{
    struct weir_selection selection = {.count = batch->count};
    uint32_t conjuncts = node->kind == WEIR_NODE_AND ? node->argument_count : 1;
    for (uint32_t i = 0; i < conjuncts && selection.count; i++)
        WEIR_TRY(select_one(node->kind == WEIR_NODE_AND ? node->arguments[i] : node, batch, arena,
                            &selection, ret_location, reterr));
    if (selection.count == batch->count)
        selection.rows = NULL;
    *ret_selection = selection;
    return WEIR_OK;
}
