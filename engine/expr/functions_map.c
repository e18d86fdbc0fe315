/* Functions of maps and structs. A map is two columns side by side, so its keys and its values are
 * lists as they stand. */
#include "engine/base/limits.h"
#include "engine/expr/function_list.h"

#include <string.h>

/* ---- binding ---- */

static weir_status map_type(struct weir_arena *arena, const struct weir_type *key,
                            const struct weir_type *value, struct weir_type *ret,
                            struct weir_error *reterr)
{
    struct weir_field *fields;
    WEIR_TRY(weir_arena_zero(arena, 2, sizeof *fields, &fields, reterr));
    fields[0] = (struct weir_field){.name = "key", .required = true, .type = *key};
    fields[1] = (struct weir_field){.name = "value", .type = *value};
    *ret = (struct weir_type){.id = WEIR_MAP, .child_count = 2, .children = fields};
    return WEIR_OK;
}

static weir_status bind_element(struct weir_arena *arena, struct weir_node *call,
                                struct weir_error *reterr)
{
    if (call->arguments[0]->type.id != WEIR_MAP)
        return bind_wrong(call, reterr);
    const struct weir_field *fields = call->arguments[0]->type.children;
    WEIR_TRY(weir_node_cast(arena, call->arguments[1], &fields[0].type, true, false,
                            &call->arguments[1], reterr));
    call->type = strcmp(call->function->name, "map_contains") == 0
                     ? (struct weir_type){.id = WEIR_BOOLEAN}
                     : fields[1].type;
    return WEIR_OK;
}

static weir_status bind_parts(struct weir_arena *arena, struct weir_node *call,
                              struct weir_error *reterr)
{
    if (call->arguments[0]->type.id != WEIR_MAP)
        return bind_wrong(call, reterr);
    const struct weir_type *map = &call->arguments[0]->type;
    struct weir_type entry = {.id = WEIR_STRUCT, .child_count = 2, .children = map->children};
    const char *name = call->function->name;
    return list_type(arena,
                     strcmp(name, "map_keys") == 0     ? &map->children[0].type
                     : strcmp(name, "map_values") == 0 ? &map->children[1].type
                                                       : &entry,
                     &call->type, reterr);
}

static weir_status bind_map(struct weir_arena *arena, struct weir_node *call,
                            struct weir_error *reterr)
{
    static const struct weir_type string = {.id = WEIR_STRING};
    if (call->argument_count == 0)
        return map_type(arena, &string, &string, &call->type, reterr);
    if (call->argument_count == 1)
        return bind_wrong(call, reterr);
    WEIR_TRY(list_bind(arena, call, 0, reterr));
    WEIR_TRY(list_bind(arena, call, 1, reterr));
    return map_type(arena, &call->arguments[0]->type.children[0].type,
                    &call->arguments[1]->type.children[0].type, &call->type, reterr);
}

static weir_status bind_entries(struct weir_arena *arena, struct weir_node *call,
                                struct weir_error *reterr)
{
    WEIR_TRY(list_bind(arena, call, 0, reterr));
    const struct weir_type *entry = &call->arguments[0]->type.children[0].type;
    if (entry->id != WEIR_STRUCT || entry->child_count != 2)
        return bind_wrong(call, reterr);
    return map_type(arena, &entry->children[0].type, &entry->children[1].type, &call->type, reterr);
}

/* struct_extract(s, 'name') is s.name. */
static weir_status bind_field(struct weir_arena *arena, struct weir_node *call,
                              struct weir_error *reterr)
{
    struct weir_node *name = call->arguments[1], *field;
    const struct weir_type *type = &call->arguments[0]->type;
    int child = -1;
    if (type->id != WEIR_STRUCT || name->kind != WEIR_NODE_CONSTANT ||
        !weir_vector_valid(&name->value, 0))
        return bind_wrong(call, reterr);
    struct weir_lane lane = weir_lane_of(&name->value);
    if (name->type.id == WEIR_STRING) {
        struct weir_bytes wanted = weir_lane_bytes(&lane, 0);
        for (uint32_t i = 0; i < type->child_count; i++)
            if (strlen(type->children[i].name) == wanted.size &&
                strncasecmp(type->children[i].name, (const char *)wanted.data, wanted.size) == 0)
                child = (int)i;
    } else if (name->type.id == WEIR_INT) { /* by place, from 1 */
        child = *(const int32_t *)name->value.values - 1;
    }
    if (child < 0 || child >= (int)type->child_count)
        return weir_fail(reterr, WEIR_USAGE, "there is no such field in the struct");
    WEIR_TRY(weir_node_new(arena, WEIR_NODE_FIELD, 1, call->location, &field, reterr));
    field->index = (uint32_t)child;
    field->arguments[0] = call->arguments[0];
    field->type = type->children[child].type;
    *call = *field;
    return WEIR_OK;
}

/* ---- evaluation ---- */

static bool valid_at(const struct weir_vector *ret, uint32_t row)
{
    return !ret->validity || weir_bit_get(ret->validity, row);
}

static weir_status evaluate_element(struct weir_evaluation *evaluation,
                                    const struct weir_node *call,
                                    const struct weir_vector *arguments, struct weir_vector *ret,
                                    struct weir_error *reterr)
{
    struct list_lane map = list_lane_of(&arguments[0]);
    const struct weir_vector *keys = &map.child[0], *values = &map.child[1];
    uint32_t *picks;
    bool test = strcmp(call->function->name, "map_contains") == 0;
    WEIR_TRY(weir_arena_alloc(evaluation->arena, ((size_t)evaluation->count + 16) * sizeof *picks,
                              &picks, reterr));
    if (test)
        WEIR_TRY(weir_result_flat(evaluation, &call->type, ret, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++) {
        uint32_t at = weir_lane(&map.lane, i);
        picks[i] = LIST_NO_PICK;
        for (uint32_t e = (uint32_t)map.offsets[at];
             valid_at(ret, i) && e < (uint32_t)map.offsets[at + 1]; e++)
            if (weir_vector_valid(keys, e) && weir_value_order(keys, e, &arguments[1], i) == 0) {
                picks[i] = e; /* the last wins, as in JSON */
            }
        if (test && picks[i] != LIST_NO_PICK)
            weir_bit_set(ret->values, i);
    }
    return test ? WEIR_OK : list_pick(evaluation, &call->type, values, picks, ret, reterr);
}

static weir_status evaluate_parts(struct weir_evaluation *evaluation, const struct weir_node *call,
                                  const struct weir_vector *arguments, struct weir_vector *ret,
                                  struct weir_error *reterr)
{
    const char *name = call->function->name;
    struct weir_vector flat, *child;
    WEIR_TRY(weir_vector_flatten(evaluation->arena, &arguments[0], &flat, reterr));
    WEIR_TRY(weir_arena_zero(evaluation->arena, 1, sizeof *child, &child, reterr));
    uint32_t total = flat.count ? (uint32_t)flat.offsets[flat.count] : 0;
    if (strcmp(name, "map_keys") == 0)
        *child = flat.children[0];
    else if (strcmp(name, "map_values") == 0)
        *child = flat.children[1];
    else
        *child = (struct weir_vector){.kind = WEIR_FLAT, .children = flat.children};
    child->count = total;
    child->type = &call->type.children[0].type;
    *ret = flat;
    ret->type = &call->type;
    ret->children = child;
    return WEIR_OK;
}

/* The same offsets on both sides, or the row fails. */
static weir_status evaluate_map(struct weir_evaluation *evaluation, const struct weir_node *call,
                                const struct weir_vector *arguments, struct weir_vector *ret,
                                struct weir_error *reterr)
{
    struct weir_arena *arena = evaluation->arena;
    struct weir_vector made = {
        .type = &call->type, .count = evaluation->count, .validity = ret->validity};
    uint32_t *rows[2], kept = 0;
    WEIR_TRY(weir_arena_zero(arena, 2, sizeof *made.children, &made.children, reterr));
    WEIR_TRY(weir_arena_zero(arena, (size_t)evaluation->count + 17, sizeof *made.offsets,
                             &made.offsets, reterr));
    if (call->argument_count == 0) {
        for (int s = 0; s < 2; s++)
            WEIR_TRY(weir_vector_make(arena, &call->type.children[s].type, 0, 0, &made.children[s],
                                      reterr));
        *ret = made;
        return WEIR_OK;
    }
    struct list_lane side[2] = {list_lane_of(&arguments[0]), list_lane_of(&arguments[1])};
    uint64_t room = 0;
    for (uint32_t i = 0; i < evaluation->count; i++) {
        uint32_t at = weir_lane(&side[0].lane, i);
        room += (uint64_t)(side[0].offsets[at + 1] - side[0].offsets[at]);
    }
    if (room > WEIR_LIST_ELEMENTS_MAX)
        return weir_fail(reterr, WEIR_NO_MEMORY, "a batch of maps of more than %u entries",
                         WEIR_LIST_ELEMENTS_MAX);
    for (int s = 0; s < 2; s++)
        WEIR_TRY(weir_arena_alloc(arena, (room + 16) * sizeof **rows, &rows[s], reterr));
    for (uint32_t i = 0; i < evaluation->count; i++) {
        uint32_t a = weir_lane(&side[0].lane, i), b = weir_lane(&side[1].lane, i);
        int32_t size = side[0].offsets[a + 1] - side[0].offsets[a];
        bool whole = valid_at(ret, i) && size == side[1].offsets[b + 1] - side[1].offsets[b];
        for (int32_t e = 0; whole && e < size; e++)
            whole = weir_vector_valid(side[0].child, (size_t)(side[0].offsets[a] + e));
        if (valid_at(ret, i) && !whole)
            WEIR_TRY(weir_evaluation_fail(evaluation, call, i, reterr,
                                          "a map of as many keys as values, no key null"));
        for (int32_t e = 0; whole && e < size; e++) {
            rows[0][kept] = (uint32_t)(side[0].offsets[a] + e);
            rows[1][kept++] = (uint32_t)(side[1].offsets[b] + e);
        }
        made.offsets[i + 1] = (int32_t)kept;
    }
    for (int s = 0; s < 2; s++) {
        struct weir_selection selection = {kept, rows[s]};
        WEIR_TRY(weir_vector_gather(arena, side[s].child, &selection, &made.children[s], reterr));
        made.children[s].type = &call->type.children[s].type;
    }
    *ret = made;
    return WEIR_OK;
}

static weir_status evaluate_entries(struct weir_evaluation *evaluation,
                                    const struct weir_node *call,
                                    const struct weir_vector *arguments, struct weir_vector *ret,
                                    struct weir_error *reterr)
{
    struct weir_vector flat;
    WEIR_TRY(weir_vector_flatten(evaluation->arena, &arguments[0], &flat, reterr));
    *ret = flat;
    ret->type = &call->type;
    ret->children = flat.children[0].children;
    uint32_t total = flat.count ? (uint32_t)flat.offsets[flat.count] : 0;
    for (uint32_t i = 0; i < evaluation->count; i++)
        for (int32_t e = flat.offsets[i]; e < flat.offsets[i + 1]; e++)
            if (!weir_vector_valid(&flat.children[0], (size_t)e) ||
                !weir_vector_valid(&ret->children[0], (size_t)e)) {
                WEIR_TRY(weir_evaluation_fail(evaluation, call, i, reterr,
                                              "a map's entry or key that is null"));
                break;
            }
    for (int s = 0; s < 2; s++)
        ret->children[s].count = total;
    return WEIR_OK;
}

#define MAP(name, signature, doc, least, most, bind, evaluate)                                     \
    {                                                                                              \
        name, "maps", signature, doc, WEIR_FUNCTION_STRICT, least, most, bind, evaluate, NULL      \
    }

const struct weir_function functions_map[] = {
    MAP("element_at", "element_at(map, key)", "the value of a key, or null", 2, 2, bind_element,
        evaluate_element),
    MAP("map_extract_value", "map_extract_value(map, key)", "the value of a key, or null", 2, 2,
        bind_element, evaluate_element),
    MAP("map_contains", "map_contains(map, key)", "whether it has the key", 2, 2, bind_element,
        evaluate_element),
    MAP("map_keys", "map_keys(map)", "its keys as a list", 1, 1, bind_parts, evaluate_parts),
    MAP("map_values", "map_values(map)", "its values as a list", 1, 1, bind_parts, evaluate_parts),
    MAP("map_entries", "map_entries(map)", "its entries as a list of structs", 1, 1, bind_parts,
        evaluate_parts),
    MAP("map", "map(keys, values)", "a map of two lists", 0, 2, bind_map, evaluate_map),
    MAP("map_from_entries", "map_from_entries(list)", "a map of a list of (key, value)", 1, 1,
        bind_entries, evaluate_entries),
    MAP("struct_extract", "struct_extract(struct, name)", "a field of a struct", 2, 2, bind_field,
        evaluate_element),
    {0},
};
