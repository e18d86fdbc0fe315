/* JSON to columns against jansson: random records, well formed, ill typed and damaged, every value
 * and verdict compared; every vector width against plain C. A failure prints its seed;
 * WEIR_TEST_SEED runs another. */
#include "tests/unit/json/json_help.h"

#include <jansson.h>
#include <stdarg.h>

struct random_text {
    uint64_t state;
    char *data;
    size_t size, capacity;
};

static uint64_t next_random(struct random_text *text)
{
    text->state ^= text->state << 13;
    text->state ^= text->state >> 7;
    text->state ^= text->state << 17;
    return text->state * UINT64_C(2685821657736338717);
}

static unsigned below(struct random_text *text, unsigned bound)
{
    return (unsigned)((next_random(text) >> 33) % bound);
}

static void put(struct random_text *text, const char *format, ...) WEIR_PRINTF(2, 3);
static void put(struct random_text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    text->size += (size_t)vsnprintf(text->data + text->size, text->capacity - text->size, format,
                                    arguments);
    va_end(arguments);
    cr_assert_lt(text->size, text->capacity);
}

static void put_space(struct random_text *text)
{
    static const char *const spaces[] = {
        "", "", "", "", "", " ", "\n", "\t ", "\r\n", "                                        "};
    put(text, "%s", spaces[below(text, COUNT(spaces))]);
}

static void put_string(struct random_text *text)
{
    static const char *const pieces[] = {"a",
                                         "plain text",
                                         "\\n",
                                         "\\\"",
                                         "\\\\",
                                         "\\/",
                                         "\\u00e9",
                                         "\\ud83d\\ude80",
                                         "é",
                                         "東京",
                                         "🚀",
                                         "\\u0001",
                                         "0123456789012345678901234567890",
                                         "\\t\\b\\f\\r",
                                         "{}[]:,",
                                         "\x7f",
                                         "\\uFFFF",
                                         "'"};
    unsigned count = below(text, 10) == 0 ? below(text, 40) : below(text, 4);
    put(text, "\"");
    for (unsigned i = 0; i < count; i++)
        put(text, "%s", pieces[below(text, COUNT(pieces))]);
    put(text, "\"");
}

static void put_number(struct random_text *text)
{
    switch (below(text, 12)) {
    case 0: put(text, "%lld", (long long)next_random(text)); return;
    case 1: put(text, "%.17g", (double)(int64_t)next_random(text) / 1e7); return;
    case 2: put(text, "%de%d", (int)below(text, 2000) - 1000, (int)below(text, 40) - 20); return;
    case 3:
        put(text, "%s",
            (const char *const[]){"0", "-0", "-0.0", "1.0", "1e3", "1E+2", "12.50e1", "2147483648",
                                  "-2147483648"}[below(text, 9)]);
        return;
    case 4: put(text, "%u.%u", below(text, 100000), below(text, 1000000)); return;
    case 5:
        put(text, "%llu.%lluE-%u", (unsigned long long)next_random(text),
            (unsigned long long)next_random(text), below(text, 300));
        return;
    default: put(text, "%d", (int)below(text, 100000) - 1000); return;
    }
}

static void put_any(struct random_text *text, unsigned depth)
{
    unsigned kind = below(text, depth > 3 ? 4 : 6), count = below(text, 4);
    put_space(text);
    if (kind == 0)
        put_string(text);
    else if (kind == 1)
        put_number(text);
    else if (kind < 4)
        put(text, "%s", (const char *const[]){"true", "false", "null"}[below(text, 3)]);
    else {
        put(text, kind == 4 ? "[" : "{");
        for (unsigned i = 0; i < count; i++) {
            put(text, i ? "," : "");
            if (kind == 5) {
                put_string(text);
                put(text, ":");
            }
            put_any(text, depth + 1);
        }
        put_space(text);
        put(text, kind == 4 ? "]" : "}");
    }
    put_space(text);
}

static void put_typed(struct random_text *text, const struct weir_type *type, unsigned depth);

static void put_members(struct random_text *text, const struct weir_type *type, unsigned depth)
{
    uint32_t start = below(text, 4) == 0 ? below(text, type->child_count) : 0;
    bool first = true;
    put(text, "{");
    put_space(text);
    for (uint32_t i = 0; i < type->child_count + 1; i++) {
        const struct weir_field *field = &type->children[(start + i) % type->child_count];
        if (i == type->child_count && below(text, 12) != 0)
            break; /* else the first key again */
        if (!field->required && below(text, 12) == 0)
            continue;
        if (below(text, 20) == 0) {
            put(text, "%s\"unknown%u\":", first ? "" : ",", below(text, 3));
            put_any(text, depth + 1);
            first = false;
        }
        put(text, "%s", first ? "" : ",");
        put_space(text);
        if (below(text, 30) == 0)
            put(text, "\"\\u%04x%s\"", (unsigned)(uint8_t)field->name[0], field->name + 1);
        else
            put(text, "\"%s\"", field->name);
        put_space(text);
        put(text, ":");
        put_typed(text, &field->type, depth + 1);
        first = false;
    }
    put(text, "}");
}

static void put_typed(struct random_text *text, const struct weir_type *type, unsigned depth)
{
    unsigned count = below(text, 5) == 0 ? below(text, 30) : below(text, 4);
    put_space(text);
    if (below(text, 300) == 0) { /* something else */
        put_any(text, depth);
        return;
    }
    if (below(text, 25) == 0 && depth > 0) {
        put(text, "null");
    } else if (type->id == WEIR_STRUCT) {
        put_members(text, type, depth);
    } else if (type->id == WEIR_LIST) {
        put(text, "[");
        for (unsigned i = 0; i < count; i++) {
            put(text, "%s", i ? "," : "");
            put_typed(text, &type->children[0].type, depth + 1);
        }
        put(text, "]");
    } else if (type->id == WEIR_MAP) {
        put(text, "{");
        for (unsigned i = 0; i < count; i++) {
            put(text, "%s\"%c%u\":", i ? "," : "", 'a' + (int)below(text, 26),
                below(text, 5) == 0 ? 0 : below(text, 1000));
            put_typed(text, &type->children[1].type, depth + 1);
        }
        put(text, "}");
    } else if (type->id == WEIR_STRING) {
        put_string(text);
    } else if (type->id == WEIR_BOOLEAN) {
        put(text, below(text, 2) ? "true" : "false");
    } else if (type->id == WEIR_DOUBLE && below(text, 2) == 0) {
        put_number(text);
    } else if (type->id == WEIR_LONG && below(text, 3) == 0) {
        put(text, "%lld", (long long)next_random(text));
    } else {
        put(text, "%d", (int)below(text, 1000000) - 500000);
    }
    put_space(text);
}

/* Flips, cuts, repeats: mostly no JSON any more. */
static void damage(struct random_text *text)
{
    static const char bytes[] = "{}[]\",:\\0123456789-+.eEtrufalsn \n\t\x01\x80\xff\xc3";
    for (unsigned i = 0, count = 1 + below(text, 3); i < count && text->size > 0; i++) {
        unsigned at = below(text, (unsigned)text->size), kind = below(text, 4);
        if (kind == 0) {
            text->size = at;
        } else if (kind == 1) {
            memmove(text->data + at, text->data + at + 1, text->size - at - 1);
            text->size--;
        } else {
            text->data[at] = kind == 2 ? bytes[below(text, sizeof bytes)] : (char)below(text, 256);
        }
    }
}

/* ---- the naive reference --------------------------------------------------------------------- */

static bool integer_of(const json_t *value, int64_t *ret)
{
    if (json_is_integer(value)) {
        *ret = json_integer_value(value);
        return true;
    }
    /* a real that is whole: exact where doubles are */
    double real = json_real_value(value);
    if (!json_is_real(value) || real != (double)(int64_t)real || real > 9007199254740992.0 ||
        real < -9007199254740992.0)
        return false;
    *ret = (int64_t)real;
    return true;
}

/* Whether the value conforms. Reals beyond 2^53 are unclear to the reference: *unclear. */
static bool conforms(const struct weir_type *type, bool required, const json_t *value,
                     bool *unclear)
{
    const char *key;
    json_t *item;
    size_t index;
    int64_t whole;

    if (!value || json_is_null(value))
        return !required;
    switch (type->id) {
    case WEIR_STRING: return json_is_string(value);
    case WEIR_BOOLEAN: return json_is_boolean(value);
    case WEIR_DOUBLE: return json_is_number(value);
    case WEIR_INT:
    case WEIR_LONG:
        if (json_is_real(value))
            *unclear = true; /* 1.00000000000000001 is not whole, but its double is */
        return json_is_number(value) && integer_of(value, &whole) &&
               (type->id == WEIR_LONG || (whole == (int32_t)whole));
    case WEIR_STRUCT:
        if (!json_is_object(value))
            return false;
        for (uint32_t i = 0; i < type->child_count; i++)
            if (!conforms(&type->children[i].type, type->children[i].required,
                          json_object_get(value, type->children[i].name), unclear))
                return false;
        return true;
    case WEIR_LIST:
        if (!json_is_array(value))
            return false;
        json_array_foreach(value, index,
                           item) if (!conforms(&type->children[0].type, type->children[0].required,
                                               item, unclear)) return false;
        return true;
    case WEIR_MAP:
        if (!json_is_object(value))
            return false;
        json_object_foreach((json_t *)value, key,
                            item) if (!conforms(&type->children[1].type, type->children[1].required,
                                                item, unclear)) return false;
        return true;
    default: return false;
    }
}

static void compare(const struct weir_vector *vector, size_t row, const json_t *value,
                    uint64_t seed)
{
    const struct weir_type *type = vector->type;
    int64_t whole;

    cr_assert_eq(weir_vector_valid(vector, row), value && !json_is_null(value), "seed %llu",
                 (unsigned long long)seed);
    if (!value || json_is_null(value)) {
        if (type->id == WEIR_LIST || type->id == WEIR_MAP)
            cr_assert_eq(vector->offsets[row], vector->offsets[row + 1]);
        return;
    }
    switch (type->id) {
    case WEIR_STRING: {
        size_t size = (size_t)(vector->offsets[row + 1] - vector->offsets[row]);
        cr_assert_eq(size, json_string_length(value), "seed %llu", (unsigned long long)seed);
        cr_assert_eq(
            memcmp((char *)vector->values + vector->offsets[row], json_string_value(value), size),
            0, "seed %llu", (unsigned long long)seed);
        break;
    }
    case WEIR_BOOLEAN:
        cr_assert_eq(weir_bit_get(vector->values, row), json_is_true(value), "seed %llu",
                     (unsigned long long)seed);
        break;
    case WEIR_DOUBLE: {
        double want = json_number_value(value), have = ((double *)vector->values)[row];
        cr_assert(have == want || (have == 0 && want == 0), "seed %llu: %a, want %a",
                  (unsigned long long)seed, have, want);
        break;
    }
    case WEIR_INT:
    case WEIR_LONG:
        cr_assert(integer_of(value, &whole));
        cr_assert_eq(type->id == WEIR_INT ? ((int32_t *)vector->values)[row]
                                          : ((int64_t *)vector->values)[row],
                     whole, "seed %llu", (unsigned long long)seed);
        break;
    case WEIR_STRUCT:
        for (uint32_t i = 0; i < type->child_count; i++)
            compare(&vector->children[i], row, json_object_get(value, type->children[i].name),
                    seed);
        break;
    case WEIR_LIST:
        cr_assert_eq((size_t)(vector->offsets[row + 1] - vector->offsets[row]),
                     json_array_size(value));
        for (size_t i = 0; i < json_array_size(value); i++)
            compare(&vector->children[0], (size_t)vector->offsets[row] + i,
                    json_array_get(value, i), seed);
        break;
    default: /* map */
        cr_assert_eq((size_t)(vector->offsets[row + 1] - vector->offsets[row]),
                     json_object_size(value), "seed %llu", (unsigned long long)seed);
        for (int32_t i = vector->offsets[row]; i < vector->offsets[row + 1]; i++) {
            const struct weir_vector *keys = &vector->children[0];
            size_t size = (size_t)(keys->offsets[i + 1] - keys->offsets[i]);
            json_t *item = json_object_getn(value, (char *)keys->values + keys->offsets[i], size);
            cr_assert_not_null(item, "seed %llu", (unsigned long long)seed);
            compare(&vector->children[1], (size_t)i, item, seed);
        }
    }
}

/* ---- the trial ------------------------------------------------------------------------------- */

static const char schema_text[] =
    "struct<id: string required, n: long, small: int, x: double, flag: boolean, os: struct<name: "
    "string, build: int required, "
    "deep: struct<v: double, w: list<long>>>, disks: list<struct<mount: string, free: double, "
    "tags: map<string, boolean>> required>, "
    "m: map<string, string>, mm: map<string, struct<p: int, q: list<string>>>, l: "
    "list<list<boolean>>, "
    "quite_a_long_name_that_exceeds_thirty_two_bytes: string>";

#define TRIAL_ROWS 40
#define TRIALS     250

struct trial {
    uint64_t seed;
    struct bench bench;
    struct weir_bytes records[TRIAL_ROWS];
    json_t *trees[TRIAL_ROWS];
    bool comparable[TRIAL_ROWS]; /* jansson's numbers hold everything in it */
};

static void trial_make(struct trial *trial)
{
    static char data[1 << 20];
    struct random_text text = {.state = trial->seed, .data = data, .capacity = sizeof data};
    json_error_t error;

    for (int i = 0; i < TRIAL_ROWS; i++) {
        text.size = 0;
        put_typed(&text, &trial->bench.schema, 0);
        if (below(&text, 6) == 0)
            damage(&text);
        trial->records[i] = exact_copy(text.data, text.size);
        trial->trees[i] = json_loadb(text.data, text.size, JSON_ALLOW_NUL | JSON_DECODE_ANY,
                                     &error);
        trial->comparable[i] = trial->trees[i] ||
                               json_error_code(&error) != json_error_numeric_overflow;
    }
}

static const struct weir_refusal *refusal_of(const struct weir_decoded *decoded, uint32_t record)
{
    for (uint32_t i = 0; i < decoded->refusal_count; i++)
        if (decoded->refusals[i].record == record)
            return &decoded->refusals[i];
    return NULL;
}

static void trial_check(struct trial *trial, uint64_t *taken)
{
    const struct weir_decoded *decoded = &trial->bench.decoded;
    struct weir_vector root = {.type = &trial->bench.schema,
                               .count = decoded->batch.count,
                               .children = decoded->batch.columns};
    uint32_t row = 0;

    for (uint32_t i = 0; i < TRIAL_ROWS; i++) {
        const struct weir_refusal *refusal = refusal_of(decoded, i);
        bool unclear = false, broken = refusal && (refusal->reason == WEIR_REASON_SYNTAX ||
                                                   refusal->reason == WEIR_REASON_ENCODING ||
                                                   refusal->reason == WEIR_REASON_EMPTY);
        if (!refusal)
            cr_assert_eq(decoded->source[row], i);
        if (trial->comparable[i]) {
            cr_assert_eq(broken, !trial->trees[i], "seed %llu record %u: %s\n%.*s",
                         (unsigned long long)trial->seed, i, refusal ? refusal->message : "taken",
                         (int)trial->records[i].size, trial->records[i].data);
            if (trial->trees[i]) {
                bool good = conforms(&trial->bench.schema, true, trial->trees[i], &unclear);
                cr_assert(unclear || good == !refusal, "seed %llu record %u: %s\n%.*s",
                          (unsigned long long)trial->seed, i, refusal ? refusal->message : "taken",
                          (int)trial->records[i].size, trial->records[i].data);
                if (!refusal)
                    compare(&root, row, trial->trees[i], trial->seed);
            }
        }
        row += !refusal;
        *taken += !refusal;
    }
}

/* Everything that a decoding gives, as text. */
static void trial_print(const struct trial *trial, struct weir_buffer *out)
{
    const struct weir_decoded *decoded = &trial->bench.decoded;
    weir_buffer_clear(out);
    cr_assert_eq(weir_json_write_rows(&decoded->batch, out, NULL), WEIR_OK);
    for (uint32_t i = 0; i < decoded->refusal_count; i++)
        cr_assert_eq(weir_buffer_print(out, NULL, "%u %s %u %s\n", decoded->refusals[i].record,
                                       weir_reason_name(decoded->refusals[i].reason),
                                       decoded->refusals[i].position, decoded->refusals[i].message),
                     WEIR_OK);
}

Test(json_random, same_as_jansson_at_every_width)
{
    static const char *const levels[] = {"plain", "avx2", "avx512"};
    const char *given = getenv("WEIR_TEST_SEED");
    uint64_t first = given ? strtoull(given, NULL, 10) : 1, taken = 0;
    static struct trial trial;

    for (uint64_t seed = first; seed < first + TRIALS; seed++) {
        struct weir_buffer have = {0};
        for (size_t level = 0; level < COUNT(levels); level++) {
            setenv("WEIR_SIMD", levels[level], 1);
            trial.seed = seed * UINT64_C(0x9E3779B97F4A7C15);
            bench_open(&trial.bench, schema_text, NULL);
            trial_make(&trial);
            have.account = &trial.bench.account;
            bench_decode(&trial.bench, trial.records, TRIAL_ROWS);
            if (level == 0)
                trial_check(&trial, &taken);
            static char first_text[4 << 20];
            trial_print(&trial, &have);
            cr_assert_lt(have.size, sizeof first_text);
            if (level == 0)
                memcpy(first_text, have.data, have.size + 1);
            else
                cr_assert_eq(strcmp(first_text, (char *)have.data), 0,
                             "seed %llu: %s differs from plain", (unsigned long long)seed,
                             levels[level]);
            weir_buffer_done(&have);
            for (int i = 0; i < TRIAL_ROWS; i++) {
                free((void *)trial.records[i].data);
                json_decref(trial.trees[i]);
            }
            bench_close(&trial.bench);
        }
    }
    cr_assert_gt(taken, TRIALS * TRIAL_ROWS / 3,
                 "only %llu records were good: the trial says little", (unsigned long long)taken);
}

/* What is written reads back as the same rows. */
Test(json_random, written_rows_read_back)
{
    static const char type[] =
        "struct<a: double, b: float, c: decimal(20,5), d: timestamptz, e: binary, f: fixed(3), g: "
        "uuid, h: time, i: map<long, date>, s: string>";
    static const char *const records[] = {
        "{\"a\":0.30000000000000004,\"b\":3.4028235e38,\"c\":-123456789012345.67891,\"d\":\"1999-"
        "12-31T23:59:59.5-01:00\",\"e\":\"AAECAw==\",\"f\":\"////\","
        "\"g\":\"00000000-0000-0000-0000-000000000001\",\"h\":\"00:00:00.000001\",\"i\":{\"-5\":"
        "\"2020-01-01\"},\"s\":\"\\u0000\\u001f\\\"\\\\é\"}",
        "{\"a\":5e-324,\"b\":1e-45,\"c\":0.00001,\"d\":\"0001-01-01T00:00:00Z\"}",
        "{\"a\":1e22,\"b\":0.1,\"s\":\"\"}",
    };
    struct bench bench;
    bench_open(&bench, type, NULL);
    for (size_t i = 0; i < COUNT(records); i++) {
        bench_one(&bench, records[i], strlen(records[i]));
        cr_assert_eq(bench.decoded.refusal_count, 0, "%s",
                     bench.decoded.refusal_count ? bench.decoded.refusals[0].message : "");
        char *once = strdup((char *)bench.text.data);
        bench_one(&bench, once, strlen(once));
        cr_assert_eq(bench.decoded.refusal_count, 0, "%s", once);
        cr_assert_str_eq((char *)bench.text.data, once);
        free(once);
    }
    bench_close(&bench);
}
