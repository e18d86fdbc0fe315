/* Pruning. A predicate becomes a test over sorted single values; a test is asked with the lowest
 * and highest value of a column, of a partition field in a manifest, or of one partition. */
#include "formats/iceberg/prune.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "formats/iceberg/value_int.h"

#define MICROS_OF_DAY INT64_C(86400000000)

/* A predicate over single values of `type`, in order. */
struct test {
    enum weir_predicate_kind kind;
    const struct weir_type *type;
    struct weir_bytes *values;
    size_t count;
    bool slack; /* results below zero of a transform that some writers have one too high there */
    bool wraps; /* truncated whole numbers near their lowest have wrapped to the highest */
};

struct condition {
    struct test test;
    int32_t field_id;
    bool top_level;
};

struct projection { /* a condition on a spec's partition field */
    size_t field;
    struct test test;
};

struct prepared {
    const struct weir_partition_spec *spec;
    struct projection *projections;
    size_t count;
    struct prepared *next;
};

struct weir_prune {
    struct weir_arena *arena;
    const struct weir_predicate *predicates;
    struct condition *conditions; /* one a predicate */
    size_t count;
    struct prepared *prepared;
};

/* What is known of the values there are. NULL data: not known. */
struct range {
    struct weir_bytes lower, upper;
    bool may_null;  /* false: surely none */
    bool all_null;  /* surely nothing but nulls */
    bool may_nan;   /* NaN may be there, outside of the bounds */
    bool cut_upper; /* the upper bound may be a prefix of the highest value */
};

static bool is_real(const struct weir_type *type)
{
    return type->id == WEIR_FLOAT || type->id == WEIR_DOUBLE;
}

bool weir_bound_usable(const struct weir_type *type, const struct weir_bytes *bound)
{
    double real;
    switch (type->id) {
    case WEIR_BOOLEAN: return bound->data && bound->size == 1;
    case WEIR_INT:
    case WEIR_DATE: return bound->data && bound->size == 4;
    case WEIR_LONG:
    case WEIR_TIME:
    case WEIR_TIMESTAMP:
    case WEIR_TIMESTAMPTZ: return bound->data && (bound->size == 4 || bound->size == 8);
    case WEIR_FLOAT:
    case WEIR_DOUBLE: return bound->data && value_real(bound, &real) && !isnan(real);
    case WEIR_DECIMAL: return bound->data && bound->size >= 1 && bound->size <= 16;
    case WEIR_STRING:
    case WEIR_BINARY:
    case WEIR_FIXED: return bound->data != NULL;
    default: return false;
    }
}

int weir_value_compare(const struct weir_type *type, const struct weir_bytes *a,
                       const struct weir_bytes *b)
{
    /* A date's four bytes among timestamps: written before the column was widened. */
    if ((type->id == WEIR_TIMESTAMP || type->id == WEIR_TIMESTAMPTZ) && a->size != b->size) {
        int64_t x, y;
        if (value_integer(a, &x) && value_integer(b, &y)) {
            x = a->size == 4 ? x * MICROS_OF_DAY : x;
            y = b->size == 4 ? y * MICROS_OF_DAY : y;
            return (x > y) - (x < y);
        }
    }
    return value_compare(type, a, b);
}

weir_status weir_value_vector(struct weir_arena *arena, const struct weir_type *type,
                              const struct weir_bytes *bytes, struct weir_vector *ret_vector,
                              struct weir_error *reterr)
{
    struct weir_vector out;
    uint32_t width = weir_type_width(type);
    int64_t whole = 0;
    double real = 0;
    weir_int128 unscaled;
    if (!weir_type_is_nested(type->id))
        WEIR_TRY(weir_vector_make(arena, type, 1, bytes->size, &out, reterr));
    if (weir_type_is_nested(type->id))
        return weir_fail(reterr, WEIR_CORRUPT, "a %s is no single value", weir_type_name(type->id));
    out.count = 1;
    bool usable = type->id == WEIR_UUID    ? bytes->size == 16
                  : is_real(type)          ? value_real(bytes, &real)
                  : type->id == WEIR_FIXED ? bytes->size == width
                                           : weir_bound_usable(type, bytes);
    if (!bytes->data) {
        out.null_count = 1;
        WEIR_TRY(weir_arena_zero(arena, 64, 1, &out.validity, reterr));
        if (out.offsets)
            out.offsets[1] = 0;
        else if (type->id != WEIR_BOOLEAN)
            memset(out.values, 0, width);
    } else if (!usable) {
        return weir_fail(reterr, WEIR_CORRUPT, "%zu bytes are no %s", bytes->size,
                         weir_type_name(type->id));
    } else if (type->id == WEIR_BOOLEAN) {
        if (bytes->data[0])
            weir_bit_set(out.values, 0);
    } else if (type->id == WEIR_STRING || type->id == WEIR_BINARY) {
        memcpy(out.values, bytes->data, bytes->size);
        out.offsets[1] = (int32_t)bytes->size;
    } else if (type->id == WEIR_DECIMAL) {
        unscaled = value_decimal(bytes->data, bytes->size);
        memcpy(out.values, &unscaled, 16);
    } else if (bytes->size == width) {
        memcpy(out.values, bytes->data, width);
    } else if (type->id == WEIR_DOUBLE) {
        memcpy(out.values, &real, 8);
    } else {
        (void)value_integer(bytes, &whole);
        whole *= type->id == WEIR_LONG || type->id == WEIR_TIME ? 1 : MICROS_OF_DAY;
        memcpy(out.values, &whole, 8);
    }
    *ret_vector = out;
    return WEIR_OK;
}

/* ---- tests ---------------------------------------------------------------------------------- */

static int compare_values(const void *a, const void *b, void *type)
{
    return weir_value_compare(type, a, b);
}

/* The rows of a vector that are not null, as sorted single values. */
static weir_status fill_test(struct weir_arena *arena, const struct weir_vector *vector,
                             struct test *test, struct weir_error *reterr)
{
    WEIR_TRY(weir_arena_zero(arena, vector->count, sizeof *test->values, &test->values, reterr));
    test->count = 0;
    for (uint32_t row = 0; row < vector->count; row++)
        if (weir_vector_valid(vector, row))
            WEIR_TRY(weir_value_binary(arena, vector, row, &test->values[test->count++], reterr));
    test->type = vector->type;
    qsort_r(test->values, test->count, sizeof *test->values, compare_values, (void *)test->type);
    return WEIR_OK;
}

static bool above(const struct test *test, const struct weir_bytes *value,
                  const struct range *range)
{
    if (weir_value_compare(test->type, value, &range->upper) <= 0)
        return false;
    return !range->cut_upper || value->size < range->upper.size ||
           memcmp(value->data, range->upper.data, range->upper.size) != 0;
}

static bool any_within(const struct test *test, const struct range *range)
{
    size_t low = 0, high = test->count;
    if (test->slack)
        return true;
    while (range->lower.data && low < high) { /* the first value that is not below the range */
        size_t middle = low + (high - low) / 2;
        if (weir_value_compare(test->type, &test->values[middle], &range->lower) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == test->count)
        return false;
    return !range->upper.data || !above(test, &test->values[low], range);
}

static bool near_highest(const struct test *test, const struct weir_bytes *value)
{
    int64_t whole;
    if (!test->wraps || !value->data || !value_integer(value, &whole))
        return false;
    return whole > (test->type->id == WEIR_INT ? INT32_MAX / 2 : INT64_MAX / 2);
}

/* false: no value of the range can pass. */
static bool test_passes(const struct test *test, const struct range *range)
{
    if (test->kind == WEIR_PREDICATE_IS_NULL)
        return range->may_null;
    if (range->all_null)
        return false;
    if (test->kind == WEIR_PREDICATE_NOT_NULL)
        return true;
    if (test->count == 0)
        return false; /* comparing with null, or IN nothing */
    const struct weir_bytes *value = &test->values[0];
    int order;
    switch (test->kind) {
    case WEIR_PREDICATE_LT:
    case WEIR_PREDICATE_LE:
        if (!range->lower.data || near_highest(test, &range->lower) || test->slack)
            return true;
        order = weir_value_compare(test->type, &range->lower, value);
        return test->kind == WEIR_PREDICATE_LT ? order < 0 : order <= 0;
    case WEIR_PREDICATE_GT:
        /* NaN is greater than everything */
        return !range->upper.data || range->may_nan ||
               (range->cut_upper ? !above(test, value, range)
                                 : weir_value_compare(test->type, &range->upper, value) > 0);
    case WEIR_PREDICATE_GE:
        return !range->upper.data || range->may_nan || !above(test, value, range);
    default: return any_within(test, range);
    }
}

/* ---- conditions ----------------------------------------------------------------------------- */

static const struct weir_field *follow(const struct weir_type *type, const uint32_t *path,
                                       uint32_t size)
{
    const struct weir_field *field = NULL;
    for (uint32_t i = 0; i < size; i++) {
        if (type->id != WEIR_STRUCT || path[i] >= type->child_count)
            return NULL;
        field = &type->children[path[i]];
        type = &field->type;
    }
    return field;
}

weir_status weir_prune_new(struct weir_arena *arena, const struct weir_type *wanted,
                           const struct weir_predicate *predicates, size_t predicate_count,
                           struct weir_prune **ret_prune, struct weir_error *reterr)
{
    struct weir_prune *prune;
    WEIR_TRY(weir_arena_zero(arena, 1, sizeof *prune, &prune, reterr));
    prune->arena = arena;
    prune->predicates = predicates;
    prune->count = predicate_count;
    WEIR_TRY(weir_arena_zero(arena, predicate_count, sizeof *prune->conditions, &prune->conditions,
                             reterr));
    for (size_t i = 0; i < predicate_count; i++) {
        struct condition *condition = &prune->conditions[i];
        const struct weir_field *field = follow(wanted, predicates[i].path,
                                                predicates[i].path_size);
        if (!field || weir_type_is_nested(field->type.id))
            return weir_fail(reterr, WEIR_USAGE, "predicate %zu leads to no primitive column", i);
        condition->field_id = field->id;
        condition->top_level = predicates[i].path_size == 1;
        condition->test.kind = predicates[i].kind;
        condition->test.type = &field->type;
        if (predicates[i].kind < WEIR_PREDICATE_IS_NULL)
            WEIR_TRY(fill_test(arena, &predicates[i].value, &condition->test, reterr));
    }
    *ret_prune = prune;
    return WEIR_OK;
}

/* ---- partitions ----------------------------------------------------------------------------- */

/* The condition as a test over results of the transform; *ret_any false: it says nothing. */
static weir_status project(struct weir_prune *prune, const struct condition *condition,
                           const struct weir_predicate *predicate, const char *transform,
                           struct test *ret_test, bool *ret_any, struct weir_error *reterr)
{
    struct weir_type result;
    struct test test = {.kind = condition->test.kind, .type = condition->test.type};
    *ret_any = false;
    if (strcmp(transform, "void") == 0 || strcmp(transform, "always_null") == 0 ||
        weir_transform_result_type(transform, condition->test.type, &result, NULL) != WEIR_OK)
        return WEIR_OK;
    bool identity = strcmp(transform, "identity") == 0;
    bool bucket = strncmp(transform, "bucket", 6) == 0;
    bool truncate = strncmp(transform, "truncate", 8) == 0;
    bool points = test.kind == WEIR_PREDICATE_EQ || test.kind == WEIR_PREDICATE_IN;
    if (test.kind < WEIR_PREDICATE_IS_NULL) {
        struct weir_vector values;
        if (bucket && !points)
            return WEIR_OK;
        WEIR_TRY(weir_transform_apply(prune->arena, transform, &predicate->value, &values, reterr));
        WEIR_TRY(fill_test(prune->arena, &values, &test, reterr));
        if (!identity && test.kind == WEIR_PREDICATE_LT)
            test.kind = WEIR_PREDICATE_LE;
        if (!identity && test.kind == WEIR_PREDICATE_GT)
            test.kind = WEIR_PREDICATE_GE;
        int64_t lowest;
        bool whole = test.type->id == WEIR_INT || test.type->id == WEIR_LONG;
        if (truncate && whole && test.count &&
            near_highest(&(struct test){.wraps = true, .type = test.type},
                         &test.values[test.count - 1]))
            return WEIR_OK; /* it may have wrapped itself */
        test.wraps = truncate && whole;
        if (!identity && !bucket && !truncate && test.count &&
            value_integer(&test.values[0], &lowest) && lowest < 0)
            test.slack = true;
    }
    *ret_test = test;
    *ret_any = true;
    return WEIR_OK;
}

static const struct prepared *find_prepared(const struct weir_prune *prune, int32_t spec_id)
{
    for (const struct prepared *at = prune->prepared; at; at = at->next)
        if (at->spec->id == spec_id)
            return at;
    return NULL;
}

weir_status weir_prune_prepare(struct weir_prune *prune, const struct weir_partition_spec *spec,
                               struct weir_error *reterr)
{
    struct prepared *prepared;
    if (find_prepared(prune, spec->id))
        return WEIR_OK;
    WEIR_TRY(weir_arena_zero(prune->arena, 1, sizeof *prepared, &prepared, reterr));
    WEIR_TRY(weir_arena_zero(prune->arena, prune->count * spec->field_count,
                             sizeof *prepared->projections, &prepared->projections, reterr));
    prepared->spec = spec;
    for (size_t i = 0; i < spec->field_count; i++)
        for (size_t j = 0; j < prune->count; j++) {
            struct projection *projection = &prepared->projections[prepared->count];
            bool any;
            if (prune->conditions[j].field_id != spec->fields[i].source_id)
                continue;
            WEIR_TRY(project(prune, &prune->conditions[j], &prune->predicates[j],
                             spec->fields[i].transform, &projection->test, &any, reterr));
            projection->field = i;
            prepared->count += any;
        }
    prepared->next = prune->prepared;
    prune->prepared = prepared;
    return WEIR_OK;
}

/* Bounds that cannot be values of the type are not known. */
static void check_range(const struct weir_type *type, struct range *range)
{
    if (!weir_bound_usable(type, &range->lower))
        range->lower = (struct weir_bytes){0};
    if (!weir_bound_usable(type, &range->upper))
        range->upper = (struct weir_bytes){0};
}

bool weir_prune_manifest(const struct weir_prune *prune, const struct weir_manifest *manifest)
{
    const struct prepared *prepared = find_prepared(prune, manifest->spec_id);
    for (size_t i = 0; prepared && i < prepared->count; i++) {
        const struct projection *at = &prepared->projections[i];
        if (at->field >= manifest->partition_count)
            continue;
        const struct weir_field_summary *summary = &manifest->partitions[at->field];
        bool real = is_real(at->test.type);
        struct range range = {.lower = summary->lower,
                              .upper = summary->upper,
                              .may_null = summary->contains_null,
                              .may_nan = real && summary->contains_nan != 0,
                              .all_null = summary->contains_null && !summary->lower.data &&
                                          (!real || summary->contains_nan == 0)};
        check_range(at->test.type, &range);
        if (!test_passes(&at->test, &range))
            return false;
    }
    return true;
}

bool weir_prune_partition(const struct weir_prune *prune, const struct weir_data_file *file)
{
    const struct prepared *prepared = find_prepared(prune, file->spec_id);
    for (size_t i = 0; prepared && i < prepared->count; i++) {
        const struct projection *at = &prepared->projections[i];
        if (at->field >= file->partition_count)
            continue;
        const struct weir_bytes *value = &file->partition[at->field];
        struct range range = {.lower = *value,
                              .upper = *value,
                              .may_null = !value->data,
                              .all_null = !value->data,
                              .may_nan = is_real(at->test.type)};
        check_range(at->test.type, &range);
        if (!test_passes(&at->test, &range))
            return false;
    }
    return true;
}

/* ---- columns -------------------------------------------------------------------------------- */

static int64_t count_of(const struct weir_id_count *counts, size_t count, int32_t id)
{
    for (size_t i = 0; i < count; i++)
        if (counts[i].id == id)
            return counts[i].count;
    return -1;
}

static struct weir_bytes bound_of(const struct weir_id_bound *bounds, size_t count, int32_t id)
{
    for (size_t i = 0; i < count; i++)
        if (bounds[i].id == id)
            return bounds[i].bound;
    return (struct weir_bytes){0};
}

bool weir_prune_columns(const struct weir_prune *prune, const struct weir_data_file *file)
{
    for (size_t i = 0; i < prune->count; i++) {
        const struct condition *condition = &prune->conditions[i];
        const struct weir_type *type = condition->test.type;
        int32_t id = condition->field_id;
        int64_t nulls = count_of(file->null_counts, file->null_count_count, id),
                values = count_of(file->value_counts, file->value_count_count, id),
                nans = count_of(file->nan_counts, file->nan_count_count, id);
        struct range range = {.lower = bound_of(file->lower, file->lower_count, id),
                              .upper = bound_of(file->upper, file->upper_count, id),
                              /* a leaf is null where its struct is, which not all writers count */
                              .may_null = nulls != 0 || !condition->top_level,
                              .all_null = nulls >= 0 && nulls == values &&
                                          values >= file->record_count,
                              .may_nan = is_real(type) && nans != 0,
                              .cut_upper = type->id == WEIR_STRING || type->id == WEIR_BINARY ||
                                           type->id == WEIR_FIXED};
        check_range(type, &range);
        if (!test_passes(&condition->test, &range))
            return false;
    }
    return true;
}
