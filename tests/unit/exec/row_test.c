/* Rows as bytes and sort keys, against the vectors they came from. */
#include "engine/exec/row.h"

#include "tests/unit/exec/random_vector.h"

#define TYPES 20

struct fixture {
    struct weir_account account;
    struct weir_arena arena;
    struct weir_type types[TYPES];
    uint32_t type_count;
};

static void setup(struct fixture *fixture)
{
    static const char *const texts[] = {"boolean",
                                        "int",
                                        "long",
                                        "float",
                                        "double",
                                        "decimal(30,3)",
                                        "date",
                                        "time",
                                        "string",
                                        "timestamp",
                                        "timestamptz",
                                        "uuid",
                                        "fixed(5)",
                                        "binary",
                                        "list<int>",
                                        "map<string, double>",
                                        "struct<a:int, b:string, c:list<struct<d:float>>>",
                                        "list<list<string>>"};
    weir_account_init(&fixture->account, NULL, "test", 0);
    weir_arena_init(&fixture->arena, &fixture->account);
    fixture->type_count = sizeof texts / sizeof *texts;
    for (uint32_t i = 0; i < fixture->type_count; i++)
        OK(weir_type_parse(&fixture->arena, texts[i], &fixture->types[i], error));
}

static void teardown(struct fixture *fixture)
{
    weir_arena_done(&fixture->arena);
    cr_assert_eq(atomic_load(&fixture->account.used), 0);
}

static void assert_same(struct fixture *fixture, const struct weir_vector *a, uint32_t row_a,
                        const struct weir_vector *b, uint32_t row_b)
{
    WEIR_AUTO(weir_buffer) x = {.account = &fixture->account}, y = {.account = &fixture->account};
    print_value(&x, a, row_a);
    print_value(&y, b, row_b);
    cr_assert_eq(x.size, y.size, "%s, not %s", (char *)y.data, (char *)x.data);
    cr_assert_arr_eq(x.data, y.data, x.size, "%s, not %s", (char *)y.data, (char *)x.data);
}

/* All types at once, in vectors of one kind, picked by `rows` (may be NULL). */
static void round_trip(struct fixture *fixture, enum weir_vector_kind kind, uint32_t null_percent,
                       bool picked, bool canonical)
{
    enum { COUNT = 130, HEADER = 16 };
    struct dice dice = {kind * 100u + null_percent + picked};
    struct weir_vector columns[TYPES], back;
    struct weir_row_layout layout;
    struct weir_row_store store;
    struct weir_row_cursor cursor = {0};
    uint32_t sizes[COUNT], rows[COUNT];
    uint8_t *places[COUNT + 1];
    OK(weir_row_layout_init(&fixture->arena, fixture->types, fixture->type_count, HEADER, canonical,
                            &layout, error));
    for (uint32_t c = 0; c < fixture->type_count; c++)
        columns[c] = random_vector(&fixture->arena, &dice, &fixture->types[c], kind, COUNT,
                                   null_percent);
    for (uint32_t i = 0; i < COUNT; i++)
        rows[i] = picked ? COUNT - 1 - i / 2 : i;
    weir_row_store_init(&store, &fixture->account);
    OK(weir_rows_size(&layout, columns, picked ? rows : NULL, COUNT, sizes, error));
    OK(weir_row_store_add_all(&store, sizes, COUNT, places, error));
    for (uint32_t i = 0; i < COUNT; i++)
        memset(places[i], 0xcd, sizes[i]);
    weir_rows_write(&layout, columns, picked ? rows : NULL, COUNT, places);
    for (uint32_t i = 0; i < COUNT; i++) {
        cr_assert_eq((uintptr_t)places[i] % 8, 0);
        cr_assert_eq(weir_row_size(&layout, places[i]), sizes[i]);
        cr_assert_eq(places[i][HEADER - 1], 0xcd, "the header is the caller's");
        cr_assert_eq(weir_row_store_next(&store, &layout, &cursor), places[i]);
    }
    cr_assert_null(weir_row_store_next(&store, &layout, &cursor));
    uint8_t *gap = places[3];
    places[3] = NULL;
    for (uint32_t c = 0; c < fixture->type_count; c++) {
        OK(weir_rows_read(&layout, c, places, COUNT, &fixture->arena, &back, error));
        for (uint32_t i = 0; i < COUNT; i++)
            if (i != 3)
                assert_same(fixture, &columns[c], rows[i], &back, i);
        cr_assert(!weir_vector_valid(&back, 3));
    }
    places[3] = gap;
    weir_row_store_done(&store);
}

Test(row, round_trip)
{
    struct fixture fixture;
    setup(&fixture);
    for (int kind = WEIR_FLAT; kind <= WEIR_DICTIONARY; kind++)
        for (uint32_t null_percent = 0; null_percent <= 100; null_percent += 50)
            for (int picked = 0; picked < 4; picked++)
                round_trip(&fixture, (enum weir_vector_kind)kind, null_percent, picked & 1,
                           picked & 2);
    teardown(&fixture);
}

/* Equal values give equal bytes, whatever kind of vector they come from, and unequal ones do not.
 */
Test(row, equality)
{
    enum { COUNT = 60 };
    struct fixture fixture;
    struct dice dice = {7};
    setup(&fixture);
    for (uint32_t t = 0; t < fixture.type_count; t++) {
        struct weir_vector kinds[2], columns[2];
        struct weir_row_layout layout;
        uint32_t sizes[COUNT];
        uint8_t *places[2][COUNT];
        OK(weir_row_layout_init(&fixture.arena, &fixture.types[t], 1, 8, true, &layout, error));
        columns[0] = kinds[0] = random_flat(&fixture.arena, &dice, &fixture.types[t], COUNT, 20);
        columns[1] = kinds[1] = random_vector(&fixture.arena, &dice, &fixture.types[t],
                                              WEIR_DICTIONARY, COUNT, 20);
        for (int k = 0; k < 2; k++) {
            OK(weir_rows_size(&layout, &columns[k], NULL, COUNT, sizes, error));
            for (uint32_t i = 0; i < COUNT; i++)
                OK(weir_arena_zero(&fixture.arena, 1, sizes[i], &places[k][i], error));
            weir_rows_write(&layout, &columns[k], NULL, COUNT, places[k]);
        }
        for (uint32_t i = 0; i < COUNT; i++)
            for (uint32_t j = 0; j < COUNT; j++) {
                WEIR_AUTO(weir_buffer) x = {.account = &fixture.account};
                WEIR_AUTO(weir_buffer) y = {.account = &fixture.account};
                print_value(&x, &kinds[0], i);
                print_value(&y, &kinds[1], j);
                bool same = x.size == y.size && memcmp(x.data, y.data, x.size) == 0;
                cr_assert_eq(weir_rows_equal(&layout, places[0][i], places[1][j]), same,
                             "%s and %s", (char *)x.data, (char *)y.data);
            }
    }
    teardown(&fixture);
}

Test(row, rows_of_nothing)
{
    struct fixture fixture;
    struct weir_row_layout layout;
    struct weir_row_store store;
    struct weir_row_cursor cursor = {0};
    uint32_t sizes[3], seen = 0;
    uint8_t *places[3];
    setup(&fixture);
    OK(weir_row_layout_init(&fixture.arena, NULL, 0, 0, false, &layout, error));
    OK(weir_rows_size(&layout, NULL, NULL, 3, sizes, error));
    weir_row_store_init(&store, &fixture.account);
    OK(weir_row_store_add_all(&store, sizes, 3, places, error));
    weir_rows_write(&layout, NULL, NULL, 3, places);
    while (weir_row_store_next(&store, &layout, &cursor))
        seen++;
    cr_assert_eq(seen, 3);
    weir_row_store_done(&store);
    teardown(&fixture);
}

/* A string of 600 MiB twice in a row is refused by its size. */
Test(row, too_large)
{
    struct fixture fixture;
    struct weir_row_layout layout;
    struct weir_error error_text = {0};
    int32_t offsets[2] = {0, 600 << 20};
    uint32_t size;
    setup(&fixture);
    struct weir_type types[2] = {{.id = WEIR_STRING}, {.id = WEIR_STRING}};
    struct weir_vector columns[2] = {{.type = &types[0], .count = 1, .offsets = offsets},
                                     {.type = &types[1], .count = 1, .offsets = offsets}};
    OK(weir_row_layout_init(&fixture.arena, types, 2, 0, false, &layout, error));
    cr_assert_eq(weir_rows_size(&layout, columns, NULL, 1, &size, &error_text), WEIR_NO_MEMORY);
    cr_assert(strstr(error_text.text, "a row of"), "%s", error_text.text);
    teardown(&fixture);
}

/* ---- sort keys ---- */

static int sign_of(int number)
{
    return (number > 0) - (number < 0);
}

static int order_of_doubles(double a, double b)
{
    if (isnan(a) || isnan(b))
        return (isnan(a) != 0) - (isnan(b) != 0);
    return (a > b) - (a < b);
}

static int naive_order(const struct weir_vector *a, uint32_t x, const struct weir_vector *b,
                       uint32_t y);

/* Null above all. */
static int naive_child_order(const struct weir_vector *a, uint32_t x, const struct weir_vector *b,
                             uint32_t y)
{
    bool valid_a = weir_vector_valid(a, x), valid_b = weir_vector_valid(b, y);
    return valid_a && valid_b ? naive_order(a, x, b, y) : !valid_a - !valid_b;
}

static int naive_elements(const struct weir_vector *a, uint32_t x, const struct weir_vector *b,
                          uint32_t y)
{
    int32_t size_a = a->offsets[x + 1] - a->offsets[x], size_b = b->offsets[y + 1] - b->offsets[y];
    for (int32_t e = 0; e < size_a && e < size_b; e++)
        for (uint32_t c = 0; c < a->type->child_count; c++) {
            int order = naive_child_order(&a->children[c], (uint32_t)(a->offsets[x] + e),
                                          &b->children[c], (uint32_t)(b->offsets[y] + e));
            if (order)
                return order;
        }
    return (size_a > size_b) - (size_a < size_b);
}

static int naive_order(const struct weir_vector *a, uint32_t x, const struct weir_vector *b,
                       uint32_t y)
{
#define NUMBERS(type)                                                                              \
    type m = ((const type *)a->values)[x], n = ((const type *)b->values)[y];                       \
    return (m > n) - (m < n)
    switch (a->type->id) {
    case WEIR_BOOLEAN: return weir_bit_get(a->values, x) - weir_bit_get(b->values, y);
    case WEIR_INT:
    case WEIR_DATE: {
        NUMBERS(int32_t);
    }
    case WEIR_FLOAT:
        return order_of_doubles(((const float *)a->values)[x], ((const float *)b->values)[y]);
    case WEIR_DOUBLE:
        return order_of_doubles(((const double *)a->values)[x], ((const double *)b->values)[y]);
    case WEIR_DECIMAL: {
        NUMBERS(weir_int128);
    }
    case WEIR_STRING:
    case WEIR_BINARY: {
        int32_t m = a->offsets[x + 1] - a->offsets[x], n = b->offsets[y + 1] - b->offsets[y];
        int order = memcmp((const char *)a->values + a->offsets[x],
                           (const char *)b->values + b->offsets[y], (size_t)(m < n ? m : n));
        return order ? sign_of(order) : (m > n) - (m < n);
    }
    case WEIR_UUID:
    case WEIR_FIXED: {
        uint32_t width = weir_type_width(a->type);
        return sign_of(memcmp((const char *)a->values + x * width,
                              (const char *)b->values + y * width, width));
    }
    case WEIR_STRUCT:
        for (uint32_t c = 0; c < a->type->child_count; c++) {
            int order = naive_child_order(&a->children[c], x, &b->children[c], y);
            if (order)
                return order;
        }
        return 0;
    case WEIR_LIST:
    case WEIR_MAP: return naive_elements(a, x, b, y);
    default: {
        NUMBERS(int64_t);
    }
    }
}

static int wanted_order(const struct weir_sort_key *key, const struct weir_vector *column,
                        uint32_t x, uint32_t y)
{
    bool valid_x = weir_vector_valid(column, x), valid_y = weir_vector_valid(column, y);
    if (!valid_x || !valid_y)
        return (!valid_x - !valid_y) * (key->nulls_first ? -1 : 1);
    return naive_order(column, x, column, y) * (key->descending ? -1 : 1);
}

static void assert_sort_keys(struct fixture *fixture, const struct weir_vector *columns,
                             const struct weir_sort_key *keys, uint32_t count)
{
    uint32_t *sizes;
    uint8_t **places;
    OK(weir_arena_alloc(&fixture->arena, count * sizeof *sizes, &sizes, error));
    OK(weir_arena_alloc(&fixture->arena, count * sizeof *places, &places, error));
    OK(weir_sort_keys_size(keys, 2, columns, count, sizes, error));
    for (uint32_t i = 0; i < count; i++) {
        OK(weir_arena_alloc(&fixture->arena, sizes[i] + 1, &places[i], error));
        places[i][sizes[i]] = 0xcd;
    }
    weir_sort_keys_write(keys, 2, columns, count, places);
    for (uint32_t x = 0; x < count; x++) {
        cr_assert_eq(places[x][sizes[x]], 0xcd);
        for (uint32_t y = 0; y < count; y += 1 + count / 64) {
            int wanted = wanted_order(&keys[0], &columns[keys[0].column], x, y);
            wanted = wanted ? wanted : wanted_order(&keys[1], &columns[keys[1].column], x, y);
            uint32_t shorter = sizes[x] < sizes[y] ? sizes[x] : sizes[y];
            int order = sign_of(memcmp(places[x], places[y], shorter));
            cr_assert_eq(order, sign_of(wanted), "type %s, rows %u and %u",
                         weir_type_name(columns[keys[0].column].type->id), x, y);
        }
    }
}

Test(row, sort_keys)
{
    struct fixture fixture;
    struct dice dice = {99};
    setup(&fixture);
    for (uint32_t t = 0; t < fixture.type_count; t++)
        for (uint32_t way = 0; way < 4; way++) {
            uint32_t count = way ? 60 : 300;
            struct weir_sort_key keys[2] = {{0, way & 1, way & 2}, {1, !(way & 1), way & 2}};
            struct weir_vector columns[2] = {
                random_flat(&fixture.arena, &dice, &fixture.types[t], count, 15),
                random_flat(&fixture.arena, &dice,
                            &fixture.types[roll_below(&dice, fixture.type_count)], count, 15)};
            assert_sort_keys(&fixture, columns, keys, count);
        }
    teardown(&fixture);
}
