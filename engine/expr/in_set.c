/* IN over many constants: a hash set made once, when the expression is bound, and one look into it
 * for each row. A few constants are compared one after the other instead: see eval.c. */
#include "engine/expr/function_int.h"

#define SET_LEAST 9 /* constants from which on a set is faster */

struct in_set {
    struct weir_vector items; /* flat, of the constants; nulls are not in the slots */
    uint64_t *hashes;         /* of the items */
    uint32_t *slots;          /* item + 1, or 0; open addressing, at most half full */
    uint32_t mask;
};

static bool set_find(const struct in_set *set, const struct weir_vector *value, uint32_t row,
                     uint64_t hash, uint32_t *ret_slot)
{
    uint32_t at = (uint32_t)hash & set->mask;
    for (; set->slots[at]; at = (at + 1) & set->mask) {
        uint32_t item = set->slots[at] - 1;
        if (set->hashes[item] == hash && weir_value_order(value, row, &set->items, item) == 0)
            return true;
    }
    *ret_slot = at;
    return false;
}

weir_status in_set_prepare(struct weir_arena *arena, struct weir_node *node,
                           struct weir_error *reterr)
{
    uint32_t count = node->argument_count - 1, room = 16, slot;
    struct weir_vector *values;
    struct in_set *set;
    if (count < SET_LEAST)
        return WEIR_OK;
    while (room < 2 * count)
        room *= 2;
    WEIR_TRY(weir_arena_zero(arena, 1, sizeof *set, &set, reterr));
    WEIR_TRY(weir_arena_zero(arena, count, sizeof *values, &values, reterr));
    WEIR_TRY(weir_arena_zero(arena, count, sizeof *set->hashes, &set->hashes, reterr));
    WEIR_TRY(weir_arena_zero(arena, room, sizeof *set->slots, &set->slots, reterr));
    for (uint32_t i = 0; i < count; i++) {
        values[i] = node->arguments[i + 1]->value;
        values[i].count = 1;
    }
    WEIR_TRY(weir_vectors_interleave(arena, values, count, 1, &node->arguments[0]->type,
                                     &set->items, reterr));
    set->mask = room - 1;
    weir_vector_hash(&set->items, count, false, set->hashes);
    for (uint32_t i = 0; i < count; i++)
        if (weir_vector_valid(&set->items, i) &&
            !set_find(set, &set->items, i, set->hashes[i], &slot))
            set->slots[slot] = i + 1;
    node->prepared = set;
    return WEIR_OK;
}

weir_status in_set_bits(struct weir_evaluation *evaluation, const struct weir_node *node,
                        const struct weir_vector *value, uint8_t *bits, bool *ret_null_item,
                        struct weir_error *reterr)
{
    const struct in_set *set = node->prepared;
    uint32_t count = value->kind == WEIR_CONSTANT && evaluation->count ? 1 : evaluation->count;
    uint32_t slot;
    uint64_t *hashes;
    bool found = false;
    WEIR_TRY(
        weir_arena_alloc(evaluation->arena, ((size_t)count + 1) * sizeof *hashes, &hashes, reterr));
    weir_vector_hash(value, count, false, hashes);
    for (uint32_t i = 0; i < count; i++)
        if (weir_vector_valid(value, i) && (found = set_find(set, value, i, hashes[i], &slot)))
            weir_bit_set(bits, i);
    for (uint32_t i = count; found && value->kind == WEIR_CONSTANT && i < evaluation->count; i++)
        weir_bit_set(bits, i); /* a constant: row 0 stands for all */
    *ret_null_item = set->items.validity != NULL;
    return WEIR_OK;
}
