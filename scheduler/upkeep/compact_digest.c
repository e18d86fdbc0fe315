/* A digest of rows in their order, node by node of their type: two streams of rows with the same
 * one are the same rows, one by one, and so have the same row hash, which costs four times as much.
 * Wherever batches are cut, the digest is the same. It is compared within one compaction and never
 * kept. */
#include "scheduler/upkeep/compact_int.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

struct node {
    XXH3_state_t *values; /* of rows that have one: bytes; of lists and strings: lengths */
    XXH3_state_t *texts;  /* bytes of strings */
    XXH3_state_t *nulls;  /* numbers of the others */
    uint64_t rows;
    struct node *children;
};

struct compact_digest {
    const struct weir_type *type;
    struct node *columns;
    struct weir_arena arena, scratch;
    uint64_t rows;
};

/* Rows of a vector; present NULL: all of them are there, else a byte each. */
struct part {
    uint32_t first, count;
    const uint8_t *present;
};

static weir_status new_state(struct weir_arena *arena, XXH3_state_t **ret_state,
                             struct weir_error *reterr)
{
    uint8_t *memory;
    WEIR_TRY(weir_arena_alloc(arena, sizeof(XXH3_state_t) + 64, &memory, reterr));
    *ret_state = (XXH3_state_t *)(void *)(memory + (64 - (uintptr_t)memory % 64));
    XXH3_128bits_reset(*ret_state);
    return WEIR_OK;
}

static weir_status make_nodes(struct weir_arena *arena, const struct weir_type *type,
                              struct node **ret_nodes, struct weir_error *reterr)
{
    struct node *nodes;
    WEIR_TRY(weir_arena_zero(arena, type->child_count + 1, sizeof *nodes, &nodes, reterr));
    for (uint32_t i = 0; i < type->child_count; i++) {
        WEIR_TRY(new_state(arena, &nodes[i].values, reterr));
        WEIR_TRY(new_state(arena, &nodes[i].texts, reterr));
        WEIR_TRY(new_state(arena, &nodes[i].nulls, reterr));
        WEIR_TRY(make_nodes(arena, &type->children[i].type, &nodes[i].children, reterr));
    }
    *ret_nodes = nodes;
    return WEIR_OK;
}

weir_status compact_digest_new(struct weir_account *account, const struct weir_type *type,
                               struct compact_digest **ret_digest, struct weir_error *reterr)
{
    struct compact_digest *digest;
    WEIR_TRY(weir_alloc_zero(account, 1, sizeof *digest, &digest, reterr));
    digest->type = type;
    weir_arena_init(&digest->arena, account);
    weir_arena_init(&digest->scratch, account);
    weir_status status = make_nodes(&digest->arena, type, &digest->columns, reterr);
    if (status != WEIR_OK)
        compact_digest_free(digest);
    else
        *ret_digest = digest;
    return status;
}

void compact_digest_free(struct compact_digest *digest)
{
    if (!digest)
        return;
    weir_arena_done(&digest->scratch);
    weir_arena_done(&digest->arena);
    weir_free(digest);
}

/* Which rows are there: those of the part that the vector has too. Numbers of the others are noted.
 */
static weir_status narrow(struct compact_digest *digest, struct node *node,
                          const struct weir_vector *vector, struct part *part,
                          struct weir_error *reterr)
{
    uint8_t *present;
    uint64_t before = node->rows, *numbers;
    size_t nulls = 0;
    node->rows += part->count;
    if (!vector->validity && !part->present)
        return WEIR_OK;
    WEIR_TRY(weir_arena_alloc(&digest->scratch, (size_t)part->count + 1, &present, reterr));
    WEIR_TRY(weir_arena_alloc(&digest->scratch, ((size_t)part->count + 1) * sizeof *numbers,
                              &numbers, reterr));
    for (uint32_t i = 0; i < part->count; i++) {
        present[i] = (!part->present || part->present[i]) &&
                     weir_vector_valid(vector, part->first + i);
        numbers[nulls] = before + i;
        nulls += !present[i];
    }
    XXH3_128bits_update(node->nulls, numbers, nulls * sizeof *numbers);
    part->present = nulls ? present : NULL;
    return WEIR_OK;
}

static weir_status add_fixed(struct compact_digest *digest, struct node *node,
                             const struct weir_vector *vector, const struct part *part,
                             struct weir_error *reterr)
{
    size_t width = weir_type_width(vector->type), used = 0;
    const uint8_t *values = (const uint8_t *)vector->values + (size_t)part->first * width;
    uint8_t *dense;
    if (!part->present) {
        XXH3_128bits_update(node->values, values, (size_t)part->count * width);
        return WEIR_OK;
    }
    WEIR_TRY(weir_arena_alloc(&digest->scratch, (size_t)part->count * width + 1, &dense, reterr));
    for (uint32_t i = 0; i < part->count; i++) {
        memcpy(dense + used, values + i * width, width);
        used += part->present[i] ? width : 0;
    }
    XXH3_128bits_update(node->values, dense, used);
    return WEIR_OK;
}

static weir_status add_booleans(struct compact_digest *digest, struct node *node,
                                const struct weir_vector *vector, const struct part *part,
                                struct weir_error *reterr)
{
    uint8_t *dense;
    size_t used = 0;
    WEIR_TRY(weir_arena_alloc(&digest->scratch, (size_t)part->count + 1, &dense, reterr));
    for (uint32_t i = 0; i < part->count; i++)
        if (!part->present || part->present[i])
            dense[used++] = weir_bit_get(vector->values, part->first + i);
    XXH3_128bits_update(node->values, dense, used);
    return WEIR_OK;
}

/* Lengths of the rows that are there; *ret_tight: the others have none, so that all they hold lies
 * side by side. */
static weir_status add_lengths(struct compact_digest *digest, struct node *node,
                               const struct weir_vector *vector, const struct part *part,
                               bool *ret_tight, struct weir_error *reterr)
{
    const int32_t *offsets = vector->offsets + part->first;
    int32_t *lengths;
    size_t used = 0;
    *ret_tight = true;
    WEIR_TRY(weir_arena_alloc(&digest->scratch, ((size_t)part->count + 1) * sizeof *lengths,
                              &lengths, reterr));
    for (uint32_t i = 0; i < part->count && !part->present; i++)
        lengths[i] = offsets[i + 1] - offsets[i];
    used = part->present ? 0 : part->count;
    for (uint32_t i = 0; i < part->count && part->present; i++) {
        lengths[used] = offsets[i + 1] - offsets[i];
        *ret_tight &= part->present[i] || lengths[used] == 0;
        used += part->present[i];
    }
    XXH3_128bits_update(node->values, lengths, used * sizeof *lengths);
    return WEIR_OK;
}

static weir_status add_texts(struct compact_digest *digest, struct node *node,
                             const struct weir_vector *vector, const struct part *part,
                             struct weir_error *reterr)
{
    const int32_t *offsets = vector->offsets + part->first;
    const uint8_t *bytes = vector->values;
    bool tight;
    WEIR_TRY(add_lengths(digest, node, vector, part, &tight, reterr));
    if (tight && offsets[part->count] > offsets[0])
        XXH3_128bits_update(node->texts, bytes + offsets[0],
                            (size_t)(offsets[part->count] - offsets[0]));
    for (uint32_t i = 0; i < part->count && !tight; i++)
        if (part->present[i] && offsets[i + 1] > offsets[i])
            XXH3_128bits_update(node->texts, bytes + offsets[i],
                                (size_t)(offsets[i + 1] - offsets[i]));
    return WEIR_OK;
}

static weir_status add_vector(struct compact_digest *digest, struct node *node,
                              const struct weir_vector *vector, struct part part,
                              struct weir_error *reterr);

static weir_status add_list(struct compact_digest *digest, struct node *node,
                            const struct weir_vector *vector, const struct part *part,
                            struct weir_error *reterr)
{
    const int32_t *offsets = vector->offsets + part->first;
    struct part below = {.first = (uint32_t)offsets[0],
                         .count = (uint32_t)(offsets[part->count] - offsets[0])};
    bool tight;
    uint8_t *present;
    WEIR_TRY(add_lengths(digest, node, vector, part, &tight, reterr));
    if (!tight) { /* elements of lists that are not there */
        WEIR_TRY(weir_arena_alloc(&digest->scratch, (size_t)below.count + 1, &present, reterr));
        for (uint32_t i = 0; i < part->count; i++)
            memset(present + (offsets[i] - offsets[0]), part->present[i],
                   (size_t)(offsets[i + 1] - offsets[i]));
        below.present = present;
    }
    for (uint32_t i = 0; i < vector->type->child_count; i++)
        WEIR_TRY(add_vector(digest, &node->children[i], &vector->children[i], below, reterr));
    return WEIR_OK;
}

static weir_status add_vector(struct compact_digest *digest, struct node *node,
                              const struct weir_vector *vector, struct part part,
                              struct weir_error *reterr)
{
    WEIR_TRY(narrow(digest, node, vector, &part, reterr));
    switch (vector->type->id) {
    case WEIR_BOOLEAN: return add_booleans(digest, node, vector, &part, reterr);
    case WEIR_STRING:
    case WEIR_BINARY: return add_texts(digest, node, vector, &part, reterr);
    case WEIR_LIST:
    case WEIR_MAP: return add_list(digest, node, vector, &part, reterr);
    case WEIR_STRUCT:
        for (uint32_t i = 0; i < vector->type->child_count; i++)
            WEIR_TRY(add_vector(digest, &node->children[i], &vector->children[i], part, reterr));
        return WEIR_OK;
    default: return add_fixed(digest, node, vector, &part, reterr);
    }
}

weir_status compact_digest_add(struct compact_digest *digest, const struct weir_batch *flat,
                               struct weir_error *reterr)
{
    weir_arena_reset(&digest->scratch);
    for (uint32_t i = 0; i < digest->type->child_count; i++)
        WEIR_TRY(add_vector(digest, &digest->columns[i], &flat->columns[i],
                            (struct part){.count = flat->count}, reterr));
    digest->rows += flat->count;
    return WEIR_OK;
}

static bool same_state(const XXH3_state_t *a, const XXH3_state_t *b)
{
    return XXH128_isEqual(XXH3_128bits_digest(a), XXH3_128bits_digest(b));
}

static bool same_nodes(const struct weir_type *type, const struct node *a, const struct node *b)
{
    for (uint32_t i = 0; i < type->child_count; i++)
        if (a[i].rows != b[i].rows || !same_state(a[i].values, b[i].values) ||
            !same_state(a[i].texts, b[i].texts) || !same_state(a[i].nulls, b[i].nulls) ||
            !same_nodes(&type->children[i].type, a[i].children, b[i].children))
            return false;
    return true;
}

bool compact_digest_same(const struct compact_digest *a, const struct compact_digest *b)
{
    return a->rows == b->rows && same_nodes(a->type, a->columns, b->columns);
}
