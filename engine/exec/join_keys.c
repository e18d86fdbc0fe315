/* A join's keys: brought to a form in which equal values are equal bytes, hashed, and compared with
 * kept rows. Floats and intervals are canonical, nested values are the bytes of row_nested.c. */
#include "engine/exec/join_int.h"
#include "engine/exec/row_int.h"

/* ---- canonical forms ---- */

static weir_status canonical_floats(struct weir_arena *arena, struct weir_vector *vector,
                                    struct weir_error *reterr)
{
    struct weir_vector flat;
    WEIR_TRY(weir_vector_flatten(arena, vector, &flat, reterr));
    size_t width = weir_type_width(flat.type);
    void *values;
    WEIR_TRY(weir_arena_alloc(arena, flat.count * width + 64, &values, reterr));
    if (flat.type->id == WEIR_DOUBLE)
        for (uint32_t i = 0; i < flat.count; i++)
            ((double *)values)[i] = row_canonical_double(((const double *)flat.values)[i]);
    else
        for (uint32_t i = 0; i < flat.count; i++)
            ((float *)values)[i] = row_canonical_float(((const float *)flat.values)[i]);
    flat.values = values;
    *vector = flat;
    return WEIR_OK;
}

static weir_status nested_as_bytes(struct weir_arena *arena, const struct weir_type *type,
                                   struct weir_vector *vector, struct weir_error *reterr)
{
    struct weir_vector flat, bytes;
    uint64_t total = 0;
    WEIR_TRY(weir_vector_flatten(arena, vector, &flat, reterr));
    for (uint32_t i = 0; i < flat.count; i++)
        total += weir_vector_valid(&flat, i) ? row_nested_size(&flat, i) : 0;
    if (total > WEIR_BATCH_BYTES_MAX)
        return weir_fail(reterr, WEIR_NO_MEMORY, "%llu bytes of keys in one batch",
                         (unsigned long long)total);
    WEIR_TRY(weir_vector_make(arena, type, flat.count, total, &bytes, reterr));
    uint8_t *at = bytes.values;
    for (uint32_t i = 0; i < flat.count; i++) {
        if (weir_vector_valid(&flat, i))
            at = row_nested_write(&flat, i, true, at);
        bytes.offsets[i + 1] = (int32_t)(at - (uint8_t *)bytes.values);
    }
    bytes.count = flat.count;
    bytes.validity = flat.validity;
    bytes.null_count = flat.null_count;
    *vector = bytes;
    return WEIR_OK;
}

struct interval {
    int32_t months, days;
    int64_t microseconds;
};

/* PostgreSQL's equality: a month is 30 days, a day 24 hours. */
static weir_status canonical_intervals(struct weir_arena *arena, struct weir_vector *vector,
                                       struct weir_error *reterr)
{
    struct weir_vector flat;
    WEIR_TRY(weir_vector_flatten(arena, vector, &flat, reterr));
    const struct interval *intervals = flat.values;
    __int128 *values;
    WEIR_TRY(weir_arena_alloc(arena, flat.count * sizeof *values + 64, &values, reterr));
    for (uint32_t i = 0; i < flat.count; i++)
        values[i] = ((__int128)intervals[i].months * 30 + intervals[i].days) * 86400000000 +
                    intervals[i].microseconds;
    flat.values = values;
    *vector = flat;
    return WEIR_OK;
}

static weir_status canonical(const struct join *join, uint32_t key, struct weir_arena *arena,
                             struct weir_vector *value, struct weir_error *reterr)
{
    enum weir_type_id id = value->type->id;
    if (id == WEIR_FLOAT || id == WEIR_DOUBLE)
        return canonical_floats(arena, value, reterr);
    if (id == WEIR_INTERVAL)
        return canonical_intervals(arena, value, reterr);
    if (weir_type_is_nested(id))
        return nested_as_bytes(arena, &join->key_types[key], value, reterr);
    if (weir_type_width(value->type) && value->kind != WEIR_FLAT)
        return weir_vector_flatten(arena, value, value, reterr);
    return WEIR_OK;
}

static weir_status note_nulls(const struct weir_vector *value, uint32_t count,
                              struct weir_arena *arena, uint8_t **dead, struct weir_error *reterr)
{
    if (!value->validity)
        return WEIR_OK;
    if (!*dead)
        WEIR_TRY(weir_arena_zero(arena, count + 1, 1, dead, reterr));
    for (uint32_t i = 0; i < count; i++)
        (*dead)[i] |= !weir_vector_valid(value, i);
    return WEIR_OK;
}

/* ---- hashes ---- */

uint64_t join_hash_long(uint64_t value)
{
    value ^= value >> 32;
    value *= 0xd6e8feb86659fd93u;
    value ^= value >> 32;
    value *= 0xd6e8feb86659fd93u;
    return value ^ value >> 32;
}

#define JOIN_HASH_NULL 0x6a09e667f3bcc908u

/* Plain numbers: fast. mix: with what hashes hold. */
static void hash_numbers(const struct weir_vector *value, uint32_t count, bool mix,
                         uint64_t *hashes)
{
    const uint64_t *longs = value->values;
    const uint32_t *ints = value->values;
    bool wide = weir_type_width(value->type) == 8;
    if (!value->validity && !mix) {
        if (wide)
            for (uint32_t i = 0; i < count; i++)
                hashes[i] = join_hash_long(longs[i]);
        else
            for (uint32_t i = 0; i < count; i++)
                hashes[i] = join_hash_long(ints[i]);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint64_t one = wide ? longs[i] : ints[i];
        one = weir_vector_valid(value, i) ? one : JOIN_HASH_NULL;
        hashes[i] = join_hash_long(mix ? one + hashes[i] * 0x9e3779b97f4a7c15u : one);
    }
}

static weir_status hash_others(const struct weir_vector *value, uint32_t count, bool mix,
                               struct weir_arena *arena, uint64_t *hashes,
                               struct weir_error *reterr)
{
    uint64_t *own;
    WEIR_TRY(weir_arena_alloc(arena, (count + 1) * sizeof *own, &own, reterr));
    weir_vector_hash(value, count, false, own);
    for (uint32_t i = 0; i < count; i++)
        hashes[i] = join_hash_long(mix ? own[i] + hashes[i] * 0x9e3779b97f4a7c15u : own[i]);
    return WEIR_OK;
}

weir_status join_keys_make(const struct join *join, struct weir_node *const *nodes,
                           const struct weir_batch *batch, struct weir_arena *arena,
                           struct join_keys *ret_keys, struct weir_error *reterr)
{
    const struct weir_operator *operator= join->sink.operator;
    struct join_keys keys = {0};
    uint32_t count = batch->count;
    WEIR_TRY(
        weir_arena_zero(arena, join->key_count + 1, sizeof *keys.values, &keys.values, reterr));
    WEIR_TRY(weir_arena_zero(arena, count + 1, sizeof *keys.hashes, &keys.hashes, reterr));
    WEIR_TRY(
        exec_evaluate(join->sink.exec, nodes, join->key_count, batch, arena, keys.values, reterr));
    for (uint32_t k = 0; k < join->key_count; k++) {
        struct weir_vector *value = &keys.values[k];
        WEIR_TRY(canonical(join, k, arena, value, reterr));
        if (!operator->null_safe || !operator->null_safe[k])
            WEIR_TRY(note_nulls(value, count, arena, &keys.dead, reterr));
        uint32_t width = weir_type_width(value->type);
        if (width == 4 || width == 8)
            hash_numbers(value, count, k > 0, keys.hashes);
        else
            WEIR_TRY(hash_others(value, count, k > 0, arena, keys.hashes, reterr));
    }
    *ret_keys = keys;
    return WEIR_OK;
}

/* ---- comparison ---- */

struct comparison {
    const struct weir_vector *value;
    const uint32_t *rows;
    uint8_t *const *places;
    uint32_t count;
    uint32_t slot;
    uint8_t *equal;
};

static void equal_4(const struct comparison *c)
{
    const uint32_t *values = c->value->values;
    for (uint32_t i = 0; i < c->count; i++) {
        uint32_t other;
        memcpy(&other, c->places[i] + c->slot, sizeof other);
        c->equal[i] &= values[c->rows[i]] == other;
    }
}

static void equal_8(const struct comparison *c)
{
    const uint64_t *values = c->value->values;
    for (uint32_t i = 0; i < c->count; i++) {
        uint64_t other;
        memcpy(&other, c->places[i] + c->slot, sizeof other);
        c->equal[i] &= values[c->rows[i]] == other;
    }
}

static void equal_fixed(const struct comparison *c, size_t width)
{
    const uint8_t *values = c->value->values;
    for (uint32_t i = 0; i < c->count; i++)
        c->equal[i] &= memcmp(values + c->rows[i] * width, c->places[i] + c->slot, width) == 0;
}

static void equal_boolean(const struct comparison *c)
{
    struct weir_lane lane = weir_lane_of(c->value);
    for (uint32_t i = 0; i < c->count; i++)
        c->equal[i] &= weir_bit_get(lane.flat->values, weir_lane(&lane, c->rows[i])) ==
                       c->places[i][c->slot];
}

static void equal_bytes(const struct comparison *c)
{
    struct weir_lane lane = weir_lane_of(c->value);
    for (uint32_t i = 0; i < c->count; i++) {
        uint32_t slot[2];
        if (!c->equal[i])
            continue;
        memcpy(slot, c->places[i] + c->slot, sizeof slot);
        struct weir_bytes bytes = weir_lane_bytes(&lane, c->rows[i]);
        c->equal[i] = bytes.size == slot[1] &&
                      (!bytes.size || memcmp(bytes.data, c->places[i] + slot[0], bytes.size) == 0);
    }
}

static void equal_values(const struct comparison *c)
{
    uint32_t width = weir_type_width(c->value->type);
    if (c->value->type->id == WEIR_BOOLEAN)
        equal_boolean(c);
    else if (width == 0)
        equal_bytes(c);
    else if (width == 4)
        equal_4(c);
    else if (width == 8)
        equal_8(c);
    else
        equal_fixed(c, width);
}

/* The same where nulls are to be looked at: row by row. */
static void equal_nulls(const struct join *join, uint32_t key, struct comparison c, bool wild)
{
    const struct weir_operator *operator= join->sink.operator;
    bool safe = operator->null_safe && operator->null_safe[key];
    uint32_t count = c.count;
    c.count = 1;
    for (uint32_t i = 0; i < count; i++, c.rows++, c.places++, c.equal++) {
        bool left = !weir_vector_valid(c.value, *c.rows);
        bool right = weir_row_null(&join->layout, *c.places, key);
        if (!left && !right)
            equal_values(&c);
        else if (safe)
            *c.equal &= left == right;
        else
            *c.equal &= wild;
    }
}

void join_keys_equal(const struct join *join, const struct join_keys *keys, const uint32_t *rows,
                     uint8_t *const *places, uint32_t count, bool wild, uint8_t *equal)
{
    const struct weir_operator *operator= join->sink.operator;
    memset(equal, 1, count);
    for (uint32_t k = 0; k < join->key_count; k++) {
        struct comparison comparison = {.value = &keys->values[k],
                                        .rows = rows,
                                        .places = places,
                                        .count = count,
                                        .slot = join->layout.slots[k],
                                        .equal = equal};
        if (wild || (operator->null_safe && operator->null_safe[k]))
            equal_nulls(join, k, comparison, wild);
        else
            equal_values(&comparison);
    }
}

bool join_row_dead(const struct join *join, const uint8_t *place)
{
    const struct weir_operator *operator= join->sink.operator;
    for (uint32_t k = 0; k < join->key_count; k++)
        if ((!operator->null_safe || !operator->null_safe[k]) &&
            weir_row_null(&join->layout, place, k))
            return true;
    return false;
}
