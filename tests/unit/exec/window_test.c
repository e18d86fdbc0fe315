/* Window functions against a naive reference that looks at every row for every row. */
#include "engine/exec/aggregate.h"
#include "tests/unit/exec/sort_help.h"

/* p, q: partition; k0..k3: order; v, s: values. */
static const char *const table_type =
    "struct<p:int, q:string, k0:long, k1:double, k2:date, k3:decimal(9,2), v:long, s:string>";
enum { P, Q, K0, V = 6, S = 7, COLUMNS = 8 };

struct case_ {
    struct weir_account own;
    struct weir_arena arena;
    struct dice dice;
    struct weir_type type, output;
    struct morsels morsels;
    uint32_t partition[2];
    struct weir_sort_key keys[4];
    struct weir_window_call call;
    struct weir_operator child;
    struct weir_operator *children[1];
};

/* ---- the naive reference ---- */

struct row {
    const struct weir_batch *batch;
    uint32_t at, key_size, group_size;
    uint8_t *key;
    uint64_t number, group;
};

static int by_keys(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    int order = memcmp(x->key, y->key, x->key_size < y->key_size ? x->key_size : y->key_size);
    return order ? order : x->number < y->number ? -1 : 1;
}

static bool same_key(const struct row *a, const struct row *b)
{
    return a->key_size == b->key_size && memcmp(a->key, b->key, a->key_size) == 0;
}
static bool same_partition(const struct row *a, const struct row *b)
{
    return a->group_size == b->group_size && memcmp(a->key, b->key, a->group_size) == 0;
}

static struct row *sorted_rows(struct case_ *c, const struct weir_operator *operator,
                               size_t * ret_count)
{
    struct weir_sort_key keys[6];
    uint32_t groups = operator->partition_count, all = groups + operator->sort_key_count;
    size_t count = 0, at = 0;
    for (uint32_t i = 0; i < all; i++)
        keys[i] = i < groups
            ? (struct weir_sort_key){
                  .column = operator->partition_columns[i] } : operator->sort_keys[i - groups];
    for (size_t m = 0; m < c->morsels.count; m++)
        for (uint32_t b = 0; b < c->morsels.counts[m]; b++)
            count += c->morsels.batches[m][b].count;
    struct row *rows = calloc(count + 1, sizeof *rows);
    for (size_t m = 0; m < c->morsels.count; m++)
        for (uint32_t b = 0; b < c->morsels.counts[m]; b++) {
            const struct weir_batch *batch = &c->morsels.batches[m][b];
            uint32_t *sizes = calloc(batch->count + 1, sizeof *sizes),
                     *group_sizes = calloc(batch->count + 1, sizeof *sizes);
            uint8_t **places = calloc(batch->count + 1, sizeof *places);
            OK(weir_sort_keys_size(keys, all, batch->columns, batch->count, sizes, error));
            OK(weir_sort_keys_size(keys, groups, batch->columns, batch->count, group_sizes, error));
            for (uint32_t i = 0; i < batch->count; i++, at++) {
                OK(weir_arena_alloc(&c->arena, sizes[i] + 1, &places[i], error));
                rows[at] = (struct row){batch, i, sizes[i], group_sizes[i], places[i], at, 0};
            }
            weir_sort_keys_write(keys, all, batch->columns, batch->count, places);
            free(sizes);
            free(group_sizes);
            free(places);
        }
    qsort(rows, count, sizeof *rows, by_keys);
    *ret_count = count;
    return rows;
}

static const void *value_of(const struct row *row, uint32_t column, uint32_t *ret_at)
{
    const struct weir_vector *vector = &row->batch->columns[column];
    if (!weir_vector_valid(vector, row->at))
        return NULL;
    *ret_at = vector->kind == WEIR_CONSTANT     ? 0
              : vector->kind == WEIR_DICTIONARY ? vector->indices[row->at]
                                                : row->at;
    return vector->kind == WEIR_DICTIONARY ? vector->dictionary->values : vector->values;
}

/* An order key as a double with a mark for NaN; all keys of these tests are small. */
static bool key_number(const struct row *row, uint32_t column, double *ret)
{
    uint32_t at;
    const void *values = value_of(row, column, &at);
    if (!values)
        return false;
    enum weir_type_id id = row->batch->type->children[column].type.id;
    *ret = id == WEIR_LONG     ? (double)((const int64_t *)values)[at]
           : id == WEIR_DOUBLE ? ((const double *)values)[at]
           : id == WEIR_DATE   ? (double)((const int32_t *)values)[at]
                               : (double)((const weir_int128 *)values)[at];
    return true;
}

static int number_order(double a, double b)
{
    if (isnan(a) || isnan(b))
        return !!isnan(a) - !!isnan(b);
    return (a > b) - (a < b);
}

/* Is other not before the frame's start (is_end: not behind its end)? */
static bool within(const struct case_ *c, const struct weir_operator *operator,
                   const struct row * rows, size_t row, size_t other, bool is_end, double offset)
{
    const struct weir_window_call *call = &c->call;
    enum weir_frame_bound bound = is_end ? call->end : call->start;
    int direction = bound == WEIR_FOLLOWING ? 1 : bound == WEIR_PRECEDING ? -1 : 0, order;
    if (bound == WEIR_UNBOUNDED_PRECEDING || bound == WEIR_UNBOUNDED_FOLLOWING)
        return is_end == (bound == WEIR_UNBOUNDED_FOLLOWING);
    if (call->unit == WEIR_FRAME_ROWS) {
        double at = (double)row + direction * offset;
        order = ((double)other > at) - ((double)other < at);
    } else if (call->unit == WEIR_FRAME_GROUPS) {
        double group_row = (double)rows[row].group, group_other = (double)rows[other].group;
        double at = group_row + direction * offset;
        order = (group_other > at) - (group_other < at);
    } else {
        double mine, others;
        const struct weir_sort_key *key = &operator->sort_keys[0];
        if (direction == 0 || !key_number(&rows[row], key->column, &mine)) {
            order = same_key(&rows[row], &rows[other]) ? 0 : other < row ? -1 : 1;
        } else if (!key_number(&rows[other], key->column, &others)) {
            order = other < row ? -1 : 1;
        } else {
            order = number_order(others,
                                 mine + (key->descending ? -direction : direction) * offset);
            order = key->descending ? -order : order;
        }
    }
    return is_end ? order <= 0 : order >= 0;
}

static bool excluded(const struct case_ *c, const struct row *rows, size_t row, size_t other)
{
    bool peer = same_key(&rows[row], &rows[other]);
    switch (c->call.exclude) {
    case WEIR_EXCLUDE_CURRENT: return row == other;
    case WEIR_EXCLUDE_GROUP: return peer;
    case WEIR_EXCLUDE_TIES: return peer && row != other;
    default: return false;
    }
}

static double offset_of(const struct weir_node *node, const struct weir_type *key)
{
    if (!node)
        return 0;
    double offset = (double)*(const int64_t *)node->value.values;
    return key && key->id == WEIR_DECIMAL ? offset * 100 : offset;
}

static void print_column(struct weir_buffer *out, const struct row *row, uint32_t column)
{
    print_value(out, &row->batch->columns[column], row->at);
}

static void naive_aggregate(const struct case_ *c, const struct row *rows, const size_t *frame,
                            size_t count, struct weir_buffer *out)
{
    const char *name = c->call.aggregate.function->name;
    __int128 sum = 0;
    int64_t least = 0, most = 0;
    size_t values = 0;
    char text[64];
    for (size_t i = 0; i < count; i++) {
        uint32_t at;
        const int64_t *column = value_of(&rows[frame[i]], V, &at);
        if (!column)
            continue;
        sum += column[at];
        least = values == 0 || column[at] < least ? column[at] : least;
        most = values == 0 || column[at] > most ? column[at] : most;
        values++;
    }
    if (strcmp(name, "count") == 0)
        OK(weir_buffer_print(out, error, "%zu", c->call.aggregate.argument_count ? values : count));
    else if (values == 0)
        OK(weir_buffer_print(out, error, "null"));
    else if (strcmp(name, "sum") == 0) {
        weir_print_decimal(text, sum, 0);
        OK(weir_buffer_print(out, error, "%s", text));
    } else
        OK(weir_buffer_print(out, error, "%" PRId64, strcmp(name, "min") == 0 ? least : most));
}

/* array_agg and the like: compared with strings put together by hand. */
static void naive_list(const struct row *rows, const size_t *frame, size_t count,
                       struct weir_buffer *out)
{
    if (count == 0) {
        OK(weir_buffer_print(out, error, "null"));
        return;
    }
    OK(weir_buffer_print(out, error, "["));
    for (size_t i = 0; i < count; i++) {
        OK(weir_buffer_print(out, error, i ? ", " : ""));
        print_column(out, &rows[frame[i]], S);
    }
    OK(weir_buffer_print(out, error, "]"));
}

static void naive_of_frame(const struct case_ *c, const struct row *rows, const size_t *frame,
                           size_t count, struct weir_buffer *out)
{
    bool back = strcmp(c->call.name, "last_value") == 0;
    size_t wanted = c->call.aggregate.argument_count > 1 ? 2 : 1;
    for (size_t i = 0; i < count; i++) {
        const struct row *row = &rows[frame[back ? count - 1 - i : i]];
        if (c->call.ignore_nulls && !weir_vector_valid(&row->batch->columns[S], row->at))
            continue;
        if (--wanted == 0) {
            print_column(out, row, S);
            return;
        }
    }
    OK(weir_buffer_print(out, error, "null"));
}

static void naive_away(const struct case_ *c, const struct row *rows, size_t first, size_t last,
                       size_t row, struct weir_buffer *out)
{
    bool lead = strcmp(c->call.name, "lead") == 0;
    size_t wanted = c->call.aggregate.argument_count > 1 ? 2 : 1;
    for (size_t at = row; lead ? ++at < last : at-- > first;) {
        if (c->call.ignore_nulls && !weir_vector_valid(&rows[at].batch->columns[S], rows[at].at))
            continue;
        if (--wanted == 0) {
            print_column(out, &rows[at], S);
            return;
        }
    }
    if (c->call.aggregate.argument_count > 2)
        print_column(out, &rows[row], Q);
    else
        OK(weir_buffer_print(out, error, "null"));
}

static void naive_rank(const struct case_ *c, const struct row *rows, size_t first, size_t last,
                       size_t row, struct weir_buffer *out)
{
    const char *name = c->call.name;
    size_t below = 0, groups = 1, upto = 0, size = last - first;
    for (size_t i = first; i < last; i++) {
        bool before = i < row && !same_key(&rows[i], &rows[row]);
        below += before;
        upto += i <= row || same_key(&rows[i], &rows[row]);
        groups += i > first && i <= row && !same_key(&rows[i - 1], &rows[i]);
    }
    if (strcmp(name, "row_number") == 0)
        OK(weir_buffer_print(out, error, "%zu", row - first + 1));
    else if (strcmp(name, "rank") == 0)
        OK(weir_buffer_print(out, error, "%zu", below + 1));
    else if (strcmp(name, "dense_rank") == 0)
        OK(weir_buffer_print(out, error, "%zu", groups));
    else if (strcmp(name, "percent_rank") == 0)
        OK(weir_buffer_print(out, error, "%.17g",
                             size > 1 ? (double)below / (double)(size - 1) : 0.0));
    else if (strcmp(name, "cume_dist") == 0)
        OK(weir_buffer_print(out, error, "%.17g", (double)upto / (double)size));
    else { /* ntile(3) */
        size_t tile = 1, in_tile = 0;
        for (size_t i = first; i < row; i++)
            if (++in_tile == size / 3 + (tile <= size % 3)) {
                tile++;
                in_tile = 0;
            }
        OK(weir_buffer_print(out, error, "%zu", tile));
    }
}

static void naive(struct case_ *c, const struct weir_operator *operator, struct weir_buffer * out)
{
    size_t count, first = 0, last = 0;
    struct row *rows = sorted_rows(c, operator, & count);
    size_t *frame = calloc(count + 1, sizeof *frame);
    const struct weir_type *key = operator->sort_key_count && c->call.unit == WEIR_FRAME_RANGE
        ? &c->type.children[operator->sort_keys[0].column].type : NULL;
    double before = offset_of(c->call.start_offset, key),
           after = offset_of(c->call.end_offset, key);
    for (size_t row = 0; row < count; row++) {
        size_t in_frame = 0;
        if (row == last) {
            first = row;
            while (last < count && same_partition(&rows[first], &rows[last]))
                last++;
            for (size_t i = first + 1; i < last; i++)
                rows[i].group = rows[i - 1].group + !same_key(&rows[i - 1], &rows[i]);
        }
        for (size_t other = first; other < last; other++)
            if (within(c, operator, rows, row, other, false, before) &&
                within(c, operator, rows, row, other, true, after) &&
                !excluded(c, rows, row, other))
                frame[in_frame++] = other;
        for (uint32_t column = 0; column < COLUMNS; column++) {
            print_column(out, &rows[row], column);
            OK(weir_buffer_print(out, error, " | "));
        }
        const char *name = c->call.name;
        if (!name && strcmp(c->call.aggregate.function->name, "array_agg") == 0)
            naive_list(rows, frame, in_frame, out);
        else if (!name)
            naive_aggregate(c, rows, frame, in_frame, out);
        else if (strcmp(name, "lag") == 0 || strcmp(name, "lead") == 0)
            naive_away(c, rows, first, last, row, out);
        else if (strstr(name, "_value"))
            naive_of_frame(c, rows, frame, in_frame, out);
        else
            naive_rank(c, rows, first, last, row, out);
        OK(weir_buffer_print(out, error, "\n"));
    }
    OK(weir_buffer_append(out, "", 1, error));
    free(frame);
    free(rows);
}

/* ---- random calls ---- */

static struct weir_node *column_node(struct case_ *c, uint32_t column)
{
    struct weir_node *node;
    OK(weir_node_column(&c->arena, column, &c->type.children[column].type, -1, &node, error));
    return node;
}
static struct weir_node *long_node(struct case_ *c, int64_t number)
{
    struct weir_node *node;
    OK(weir_node_long(&c->arena, number, &node, error));
    return node;
}

static void random_frame(struct case_ *c, const struct weir_operator *operator)
{
    struct weir_window_call *call = &c->call;
    call->unit = (enum weir_frame_unit)roll_below(&c->dice, 3);
    call->exclude = roll_below(&c->dice, 2) ? WEIR_EXCLUDE_NOTHING
                                            : (enum weir_frame_exclude)roll_below(&c->dice, 4);
    call->start = (enum weir_frame_bound)roll_below(&c->dice, 4);
    call->end = (enum weir_frame_bound)(1 + roll_below(&c->dice, 4));
    if (call->unit == WEIR_FRAME_RANGE && operator->sort_key_count != 1) {
        call->start = roll(&c->dice) & 1 ? WEIR_UNBOUNDED_PRECEDING : WEIR_CURRENT_ROW;
        call->end = roll(&c->dice) & 1 ? WEIR_UNBOUNDED_FOLLOWING : WEIR_CURRENT_ROW;
    }
    call->start_offset = call->end_offset = NULL;
    if (call->start == WEIR_PRECEDING || call->start == WEIR_FOLLOWING)
        call->start_offset = long_node(c, roll_below(&c->dice, 5));
    if (call->end == WEIR_PRECEDING || call->end == WEIR_FOLLOWING)
        call->end_offset = long_node(c, roll_below(&c->dice, 40) / 4);
}

static const char *const pure[] = {"row_number",  "rank",       "dense_rank", "percent_rank",
                                   "cume_dist",   "ntile",      "lag",        "lead",
                                   "first_value", "last_value", "nth_value"};
static const char *const aggregates[] = {"count", "sum", "min", "max", "count", "array_agg"};

static void random_pure(struct case_ *c, uint32_t which)
{
    struct weir_window_call *call = &c->call;
    struct weir_aggregate_call *inner = &call->aggregate;
    call->name = pure[which];
    call->ignore_nulls = which >= 6 && roll(&c->dice) & 1;
    OK(weir_arena_zero(&c->arena, 4, sizeof *inner->arguments, &inner->arguments, error));
    if (which < 6) {
        inner->type.id = which == 3 || which == 4 ? WEIR_DOUBLE : WEIR_LONG;
        inner->argument_count = which == 5;
        inner->arguments[0] = long_node(c, 3);
        return;
    }
    inner->type = c->type.children[S].type;
    inner->arguments[0] = column_node(c, S);
    inner->arguments[1] = long_node(c, 2);
    inner->arguments[2] = column_node(c, Q);
    inner->argument_count = which < 8 ? 1 + roll_below(&c->dice, 3) : which == 10 ? 2 : 1;
}

static bool random_aggregate(struct case_ *c, uint32_t which)
{
    struct weir_aggregate_call *inner = &c->call.aggregate;
    inner->function = weir_aggregate_find(aggregates[which]);
    if (!inner->function)
        return false;
    inner->argument_count = which != 4;
    OK(weir_arena_zero(&c->arena, 2, sizeof *inner->arguments, &inner->arguments, error));
    inner->arguments[0] = column_node(c, which == 5 ? S : V);
    OK(inner->function->bind(&c->arena, inner, error));
    return true;
}

static void random_operator(struct case_ *c, struct weir_operator *operator)
{
    operator->partition_count = roll_below(&c->dice, 3);
    c->partition[0] = roll_below(&c->dice, 2);
    c->partition[1] = 1 - c->partition[0];
    operator->partition_columns = c->partition;
    operator->sort_key_count = roll_below(&c->dice, 3);
    for (uint32_t k = 0; k < operator->sort_key_count; k++)
        c->keys[k] = (struct weir_sort_key){.column = K0 + roll_below(&c->dice, 4),
                                            .descending = roll(&c->dice) & 1,
                                            .nulls_first = roll(&c->dice) & 1};
    operator->sort_keys = c->keys;
}

/* Keys and values small, so that distances meet and 128 bits are enough. */
static void tame(struct case_ *c)
{
    for (size_t m = 0; m < c->morsels.count; m++)
        for (uint32_t b = 0; b < c->morsels.counts[m]; b++)
            for (uint32_t column = 0; column < COLUMNS; column++) {
                struct weir_vector *vector = &c->morsels.batches[m][b].columns[column];
                uint32_t count = vector->kind == WEIR_CONSTANT     ? 1
                                 : vector->kind == WEIR_DICTIONARY ? 7
                                                                   : vector->count;
                if (vector->kind == WEIR_DICTIONARY)
                    vector = vector->dictionary;
                for (uint32_t i = 0; i < count; i++)
                    switch (vector->type->id) {
                    case WEIR_LONG: ((int64_t *)vector->values)[i] %= 50; break;
                    case WEIR_INT: ((int32_t *)vector->values)[i] %= 4; break;
                    case WEIR_DATE: ((int32_t *)vector->values)[i] %= 30; break;
                    case WEIR_DECIMAL: ((weir_int128 *)vector->values)[i] %= 700; break;
                    default: break;
                    }
            }
}

static void run_case(uint64_t seed, uint32_t rows_max, size_t limit)
{
    struct case_ *c = calloc(1, sizeof *c);
    struct weir_type *output = &c->output;
    c->dice.state = seed;
    weir_account_init(&c->own, NULL, "test's own", 0);
    weir_arena_init(&c->arena, &c->own);
    OK(weir_type_parse(&c->arena, table_type, &c->type, error));
    random_morsels(&c->arena, &c->dice, &c->type, 1 + roll_below(&c->dice, 5), rows_max,
                   roll_below(&c->dice, 3) * 15, &c->morsels);
    tame(c);
    struct weir_buffer wanted = {.account = &c->own};
    for (int run = 0; run < 4; run++) {
        struct rig rig;
        struct exec_sink *sink;
        struct weir_buffer got = {.account = &c->own};
        rig_up(&rig, run & 1 ? 2 : 1, run & 1 ? 100 : 2048, run >= 2 ? limit : 0);
        if (run == 0) {
            random_operator(c, &rig.operator);
            c->child.type = c->type;
            c->children[0] = &c->child;
            random_frame(c, &rig.operator);
            uint32_t which = roll_below(&c->dice, 20);
            if (which < 11 || !random_aggregate(c, (which - 11) % 6))
                random_pure(c, which % 11);
            *output = (struct weir_type){.id = WEIR_STRUCT, .child_count = COLUMNS + 1};
            OK(weir_arena_zero(&c->arena, COLUMNS + 1, sizeof *output->children, &output->children,
                               error));
            memcpy(output->children, c->type.children, COLUMNS * sizeof *output->children);
            output->children[COLUMNS] = (struct weir_field){.name = "w",
                                                            .type = c->call.aggregate.type};
            naive(c, &rig.operator, & wanted);
            c->child.partition_count = rig.operator.partition_count;
            c->child.sort_key_count = rig.operator.sort_key_count;
        }
        rig.operator.type = c->output;
        rig.operator.children = c->children;
        rig.operator.child_count = 1;
        rig.operator.partition_columns = c->partition;
        rig.operator.partition_count = c->child.partition_count;
        rig.operator.sort_keys = c->keys;
        rig.operator.sort_key_count = c->child.sort_key_count;
        rig.operator.windows = & c->call;
        rig.operator.window_count = 1;
        OK(exec_window_new(&rig.exec, &rig.operator, & sink, error));
        OK(rig_run(&rig, sink, &c->morsels, &got, error));
        if (strcmp((char *)got.data, (char *)wanted.data) != 0) {
            size_t at = 0;
            while (got.data[at] && got.data[at] == wanted.data[at])
                at++;
            while (at && got.data[at - 1] != '\n')
                at--;
            cr_assert(false,
                      "seed %" PRIu64 " run %d, %s, unit %d %d..%d exclude %d, %u partition "
                      "columns, %u keys\ngot:\n%.800s\nwanted:\n%.800s",
                      seed, run, c->call.name ? c->call.name : c->call.aggregate.function->name,
                      c->call.unit, c->call.start, c->call.end, c->call.exclude,
                      c->child.partition_count, c->child.sort_key_count, (char *)got.data + at,
                      (char *)wanted.data + at);
        }
        weir_buffer_done(&got);
        rig_down(&rig);
    }
    weir_buffer_done(&wanted);
    weir_arena_done(&c->arena);
    cr_expect_eq(atomic_load(&c->own.used), 0);
    free(c);
}

Test(window, random_calls_as_by_looking_at_every_row)
{
    for (uint64_t seed = 1; seed <= 300; seed++)
        run_case(seed, 40, 7u << 20);
}

Test(window, larger_partitions_use_the_tree)
{
    for (uint64_t seed = 1000; seed < 1025; seed++)
        run_case(seed, 250, 128u << 20);
}

/* ---- through files ---- */

static void spill_case(struct case_ *c, size_t limit, int threads, struct weir_buffer *out)
{
    static const uint32_t partition[] = {P, K0};
    static const struct weir_sort_key order[] = {{.column = V, .descending = true}};
    struct rig rig;
    struct exec_sink *sink;
    rig_up(&rig, threads, 2048, limit);
    rig.operator.type = c->output;
    rig.operator.children = c->children;
    rig.operator.child_count = 1;
    rig.operator.partition_columns = partition;
    rig.operator.partition_count = 2;
    rig.operator.sort_keys = order;
    rig.operator.sort_key_count = 1;
    rig.operator.windows = & c->call;
    rig.operator.window_count = 1;
    OK(exec_window_new(&rig.exec, &rig.operator, & sink, error));
    OK(rig_run(&rig, sink, &c->morsels, out, error));
    if (limit)
        cr_expect_gt(atomic_load(&rig.operator.counters.bytes_spilled), 4u << 20);
    rig_down(&rig);
}

Test(window, the_same_through_files)
{
    struct case_ *c = calloc(1, sizeof *c);
    c->dice.state = 7;
    weir_account_init(&c->own, NULL, "test's own", 0);
    weir_arena_init(&c->arena, &c->own);
    OK(weir_type_parse(&c->arena, table_type, &c->type, error));
    random_morsels(&c->arena, &c->dice, &c->type, 12, 6000, 10, &c->morsels);
    tame(c);
    c->child.type = c->type;
    c->children[0] = &c->child;
    c->call = (struct weir_window_call){.unit = WEIR_FRAME_ROWS,
                                        .start = WEIR_PRECEDING,
                                        .end = WEIR_CURRENT_ROW,
                                        .start_offset = long_node(c, 100)};
    random_aggregate(c, 1);
    c->output = (struct weir_type){.id = WEIR_STRUCT, .child_count = COLUMNS + 1};
    OK(weir_arena_zero(&c->arena, COLUMNS + 1, sizeof *c->output.children, &c->output.children,
                       error));
    memcpy(c->output.children, c->type.children, COLUMNS * sizeof *c->output.children);
    c->output.children[COLUMNS] = (struct weir_field){.name = "w", .type = c->call.aggregate.type};
    struct weir_buffer whole = {.account = &c->own}, two = {.account = &c->own},
                       files = {.account = &c->own};
    spill_case(c, 0, 1, &whole);
    spill_case(c, 0, 2, &two);
    spill_case(c, 12u << 20, 2, &files); /* what two threads hold while they decide to spill */
    cr_expect_gt(whole.size, 1u << 20);
    cr_expect_str_eq((char *)whole.data, (char *)two.data);
    cr_expect_str_eq((char *)whole.data, (char *)files.data);
    weir_buffer_done(&whole);
    weir_buffer_done(&two);
    weir_buffer_done(&files);
    weir_arena_done(&c->arena);
    free(c);
}

/* ---- distances in time ---- */

static const char *const times[] = {"2024-01-31T00:00:00", "2024-02-28T00:00:00",
                                    "2024-02-29T00:00:00", "2024-02-29T12:00:00",
                                    "2024-03-31T00:00:00", "2024-04-30T00:00:00"};
#define TIMES (sizeof times / sizeof *times)

static void counts_within(int32_t months, int32_t days, int64_t micros, const char *wanted)
{
    struct interval {
        int32_t months, days;
        int64_t micros;
    } interval = {months, days, micros};
    static const struct weir_sort_key order[] = {{.column = 0}};
    struct case_ *c = calloc(1, sizeof *c);
    struct weir_buffer got = {.account = &c->own};
    struct weir_batch batch, *batches = &batch;
    uint32_t one = 1;
    struct weir_node offset = {.kind = WEIR_NODE_CONSTANT, .type = {.id = WEIR_INTERVAL}};
    struct exec_sink *sink;
    struct rig rig;
    weir_account_init(&c->own, NULL, "test's own", 0);
    weir_arena_init(&c->arena, &c->own);
    OK(weir_type_parse(&c->arena, "struct<t:timestamp>", &c->type, error));
    OK(weir_type_parse(&c->arena, "struct<t:timestamp, n:long>", &c->output, error));
    OK(weir_batch_make(&c->arena, &c->type, TIMES, &batch, error));
    batch.count = batch.columns[0].count = TIMES;
    for (size_t i = 0; i < TIMES; i++)
        cr_assert(weir_text_timestamp(times[i], strlen(times[i]),
                                      (int64_t *)batch.columns[0].values + i));
    c->morsels = (struct morsels){&batches, &one, 1};
    offset.value = (struct weir_vector){
        .type = &offset.type, .kind = WEIR_CONSTANT, .count = 1, .values = &interval};
    c->call = (struct weir_window_call){.unit = WEIR_FRAME_RANGE,
                                        .start = WEIR_PRECEDING,
                                        .end = WEIR_CURRENT_ROW,
                                        .start_offset = &offset};
    c->call.aggregate.function = weir_aggregate_find("count");
    OK(c->call.aggregate.function->bind(&c->arena, &c->call.aggregate, error));
    rig_up(&rig, 1, 2048, 0);
    c->child.type = c->type;
    c->children[0] = &c->child;
    rig.operator.type = c->output;
    rig.operator.children = c->children;
    rig.operator.sort_keys = order;
    rig.operator.sort_key_count = 1;
    rig.operator.windows = & c->call;
    rig.operator.window_count = 1;
    OK(exec_window_new(&rig.exec, &rig.operator, & sink, error));
    OK(rig_run(&rig, sink, &c->morsels, &got, error));
    char counts[64] = "";
    for (char *line = (char *)got.data; (line = strstr(line, " | ")); line++)
        strncat(counts, line + 3, 1);
    cr_expect_str_eq(counts, wanted);
    rig_down(&rig);
    weir_buffer_done(&got);
    weir_arena_done(&c->arena);
    free(c);
}

/* By PostgreSQL: a month before 29 February is 29 January, before 31 March is 29 February. */
Test(window, ranges_of_time_go_by_the_calendar)
{
    counts_within(1, 0, 0, "123432");
    counts_within(0, 1, 0, "112211");
    counts_within(0, 0, 43200000000, "111211");
    counts_within(0, 31, 0, "123432");
}
