/* From a schema to a plan: the tree of nodes that walkers follow, its key tables, and the choice of
 * walker. */
#include "formats/json/json_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t json_hash(uint64_t seed, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    uint64_t hash = seed ^ size * UINT64_C(0x9E3779B97F4A7C15);

    while (size > 0) {
        size_t step = size < 8 ? size : 8;
        uint64_t word = 0;
        unsigned __int128 product;
        memcpy(&word, at, step);
        product = (unsigned __int128)(hash ^ word) * UINT64_C(0xD6E8FEB86659FD93);
        hash = (uint64_t)(product >> 64) ^ (uint64_t)product ^ seed;
        at += step;
        size -= step;
    }
    return hash ^ hash >> 29;
}

struct json_node *json_plan_find(const struct json_node *node, const char *name, size_t size)
{
    size_t slot = json_hash(0, name, size) & node->table_mask;

    for (; node->table[slot] != 0; slot = (slot + 1) & node->table_mask) {
        struct json_node *child = &node->children[node->table[slot] - 1];
        if (child->name_size == size && memcmp(child->name, name, size) == 0)
            return child;
    }
    return NULL;
}

static weir_status plan_key(struct weir_arena *arena, struct json_node *node,
                            struct weir_error *reterr)
{
    char *key;
    bool plain = true;

    WEIR_TRY(weir_arena_print(arena, &key, reterr, "\"%s\"", node->name));
    node->key = key;
    for (uint32_t i = 0; i < node->name_size; i++)
        plain &= (uint8_t)node->name[i] >= 0x20 && node->name[i] != '"' && node->name[i] != '\\';
    if (!plain)
        return WEIR_OK; /* never written as it is: found through its escapes */
    node->key_size = node->name_size + 2;
    for (uint32_t i = 0; i < node->key_size && i < JSON_KEY_FAST; i++) {
        node->key_words[i / 8] |= (uint64_t)(uint8_t)key[i] << (i % 8 * 8);
        node->key_masks[i / 8] |= UINT64_C(0xFF) << (i % 8 * 8);
    }
    return WEIR_OK;
}

static weir_status plan_table(struct weir_arena *arena, struct json_node *node,
                              struct weir_error *reterr)
{
    uint32_t slots = 4;

    while (slots < node->child_count * 2)
        slots *= 2;
    node->table_mask = slots - 1;
    WEIR_TRY(weir_arena_zero(arena, slots, sizeof *node->table, &node->table, reterr));
    for (uint32_t i = 0; i < node->child_count; i++) {
        const struct json_node *child = &node->children[i];
        size_t slot = json_hash(0, child->name, child->name_size) & node->table_mask;
        if (json_plan_find(node, child->name, child->name_size))
            return weir_fail(reterr, WEIR_USAGE, "field %s appears twice", child->name);
        while (node->table[slot] != 0)
            slot = (slot + 1) & node->table_mask;
        node->table[slot] = i + 1;
        node->children[i].next = i + 1 < node->child_count ? i + 1 : 0;
    }
    return WEIR_OK;
}

static bool type_is_time(enum weir_type_id id)
{
    return id == WEIR_DATE || id == WEIR_TIME || id == WEIR_TIMESTAMP || id == WEIR_TIMESTAMPTZ;
}

static bool type_is_key(enum weir_type_id id)
{
    return id == WEIR_STRING || id == WEIR_INT || id == WEIR_LONG || id == WEIR_DECIMAL ||
           id == WEIR_UUID || type_is_time(id);
}

/* What messages say is wanted: the type, short for nested ones. */
static void plan_wanted(struct json_node *node, const struct weir_type *type)
{
    if (type->id == WEIR_STRUCT || type->id == WEIR_MAP)
        snprintf(node->wanted, sizeof node->wanted, "%s (an object)", weir_type_name(type->id));
    else if (type->id == WEIR_LIST)
        snprintf(node->wanted, sizeof node->wanted, "list (an array)");
    else if (type->id == WEIR_DECIMAL)
        snprintf(node->wanted, sizeof node->wanted, "decimal(%u,%u)", type->precision, type->scale);
    else if (type->id == WEIR_FIXED)
        snprintf(node->wanted, sizeof node->wanted, "fixed(%u)", type->length);
    else
        snprintf(node->wanted, sizeof node->wanted, "%s", weir_type_name(type->id));
}

struct plan_place {
    struct weir_json_decoder *decoder;
    const struct weir_json_options *options;
    bool in_list;
    unsigned depth;
};

static weir_status plan_node(const struct plan_place *place, const struct weir_type *type,
                             struct json_node *node, struct weir_error *reterr);

static weir_status plan_field(const struct plan_place *place, const struct weir_field *field,
                              struct json_node *node, struct weir_error *reterr)
{
    node->name = field->name ? field->name : "";
    node->name_size = (uint32_t)strlen(node->name);
    node->required = field->required;
    if (node->name_size > place->decoder->key_longest)
        place->decoder->key_longest = node->name_size;
    for (size_t i = 0; i < place->options->time_count; i++) {
        if (place->options->times[i].field_id != field->id || field->id == 0)
            continue;
        if (!type_is_time(field->type.id))
            return weir_fail(reterr, WEIR_USAGE, "%s: a time unit is declared, but its type is %s",
                             node->name, weir_type_name(field->type.id));
        node->unit = place->options->times[i].unit;
    }
    WEIR_TRY(plan_key(&place->decoder->plan, node, reterr));
    return plan_node(place, &field->type, node, reterr);
}

static weir_status plan_node(const struct plan_place *place, const struct weir_type *type,
                             struct json_node *node, struct weir_error *reterr)
{
    struct plan_place below = *place;

    if (++below.depth > WEIR_SCHEMA_DEPTH_MAX + 1)
        return weir_fail(reterr, WEIR_USAGE, "types nested deeper than %d", WEIR_SCHEMA_DEPTH_MAX);
    node->type = type->id;
    node->declared = type;
    node->width = weir_type_width(type);
    node->in_list = place->in_list;
    node->child_count = type->child_count;
    plan_wanted(node, type);
    WEIR_TRY(
        weir_arena_zero(&place->decoder->plan, 1, sizeof *node->failure, &node->failure, reterr));
    if (!weir_type_is_nested(type->id))
        return WEIR_OK;
    if (type->id == WEIR_MAP && !type_is_key(type->children[0].type.id))
        return weir_fail(reterr, WEIR_UNSUPPORTED, "map keys of type %s cannot be read from JSON",
                         weir_type_name(type->children[0].type.id));
    if (type->id != WEIR_STRUCT)
        below.in_list = true;
    /* one more than there are: an empty struct still has a first child to compare with, which
     * matches nothing */
    WEIR_TRY(weir_arena_zero(&place->decoder->plan, (size_t)type->child_count + 1,
                             sizeof *node->children, &node->children, reterr));
    for (uint32_t i = 0; i < type->child_count; i++) {
        node->children[i].parent = node;
        WEIR_TRY(plan_field(&below, &type->children[i], &node->children[i], reterr));
    }
    return type->id == WEIR_STRUCT ? plan_table(&place->decoder->plan, node, reterr) : WEIR_OK;
}

/* The widest walker that this processor runs; WEIR_SIMD=plain|avx2|avx512 asks for one. */
static json_walk choose_walk(void)
{
#if defined(__x86_64__)
    const char *level = getenv("WEIR_SIMD");
    bool has_avx2, has_avx512;

    __builtin_cpu_init();
    has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
               __builtin_cpu_supports("bmi2");
    has_avx512 = has_avx2 && __builtin_cpu_supports("avx512bw") &&
                 __builtin_cpu_supports("avx512vl");
    if (level && strcmp(level, "plain") == 0)
        return json_walk_plain;
    if (level && strcmp(level, "avx512") == 0 && has_avx512)
        return json_walk_avx512;
    if (has_avx2)
        return json_walk_avx2;
#endif
    return json_walk_plain;
}

weir_status weir_json_decoder_new(struct weir_account *account, const struct weir_type *schema,
                                  const struct weir_json_options *options,
                                  struct weir_json_decoder **ret_decoder, struct weir_error *reterr)
{
    static const struct weir_json_options defaults = {0};
    struct weir_json_decoder *decoder;
    struct plan_place place = {.options = options ? options : &defaults};
    weir_status status;

    if (schema->id != WEIR_STRUCT)
        return weir_fail(reterr, WEIR_USAGE, "a schema must be a struct, not %s",
                         weir_type_name(schema->id));
    WEIR_TRY(weir_alloc_zero(account, 1, sizeof *decoder, &decoder, reterr));
    decoder->account = account;
    decoder->unknown_fields = place.options->unknown_fields;
    decoder->walk = choose_walk();
    decoder->seed = (uint64_t)(uintptr_t)decoder * UINT64_C(0x9E3779B97F4A7C15) | 1;
    weir_arena_init(&decoder->plan, account);
    weir_arena_init(&decoder->shapes, account);
    place.decoder = decoder;
    status = weir_arena_zero(&decoder->plan, 1, sizeof *decoder->root, &decoder->root, reterr);
    if (status == WEIR_OK) {
        decoder->root->required = true;
        decoder->root->name = "";
        status = plan_node(&place, schema, decoder->root, reterr);
    }
    if (status != WEIR_OK) {
        weir_json_decoder_free(decoder);
        return status;
    }
    *ret_decoder = decoder;
    return WEIR_OK;
}

void weir_json_decoder_free(struct weir_json_decoder *decoder)
{
    if (!decoder)
        return;
    weir_free(decoder->text);
    weir_free(decoder->scratch);
    weir_free(decoder->map_table);
    weir_free(decoder->map_dead);
    weir_arena_done(&decoder->plan);
    weir_arena_done(&decoder->shapes);
    weir_free(decoder);
}
