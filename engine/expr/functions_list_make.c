/* Functions that make lists: of other lists, of text, of steps. Each works out which elements the
 * rows of the result have, one after the other, and copies those once. */
#include "engine/base/limits.h"
#include "engine/expr/function_list.h"

#include <stdlib.h>
#include <string.h>

#define DAY 86400000000LL

/* ---- elements noted, then copied ---- */

struct picked {
    uint32_t *rows;   /* of the part */
    uint32_t *source; /* which part; NULL: all of part 0 */
    int32_t *offsets;
    uint32_t count, room;
};

static weir_status picked_begin(struct weir_evaluation *evaluation, uint64_t room, bool parts,
                                struct picked *ret, struct weir_error *reterr)
{
    struct picked made = {.room = (uint32_t)room};
    if (room > WEIR_LIST_ELEMENTS_MAX)
        return weir_fail(reterr, WEIR_NO_MEMORY, "a batch of lists of more than %u elements",
                         WEIR_LIST_ELEMENTS_MAX);
    WEIR_TRY(
        weir_arena_alloc(evaluation->arena, (room + 16) * sizeof *made.rows, &made.rows, reterr));
    WEIR_TRY(weir_arena_zero(evaluation->arena, (size_t)evaluation->count + 17,
                             sizeof *made.offsets, &made.offsets, reterr));
    if (parts)
        WEIR_TRY(weir_arena_alloc(evaluation->arena, (room + 16) * sizeof *made.source,
                                  &made.source, reterr));
    *ret = made;
    return WEIR_OK;
}

static void pick(struct picked *picked, uint32_t part, uint32_t row)
{
    if (picked->source)
        picked->source[picked->count] = part;
    picked->rows[picked->count++] = row;
}

/* The part's rows where they are wanted, anything elsewhere. */
static weir_status spread(struct weir_arena *arena, const struct picked *picked, uint32_t part,
                          const struct weir_vector *from, const struct weir_type *type,
                          struct weir_vector *ret, struct weir_error *reterr)
{
    uint32_t *rows;
    bool some = false;
    WEIR_TRY(weir_arena_alloc(arena, ((size_t)picked->count + 16) * sizeof *rows, &rows, reterr));
    for (uint32_t i = 0; i < picked->count; i++) {
        rows[i] = picked->source[i] == part ? picked->rows[i] : 0;
        some |= picked->source[i] == part;
    }
    if (!some) { /* it may have no row 0 */
        WEIR_TRY(weir_vector_null(arena, type, ret, reterr));
        ret->count = picked->count;
        return WEIR_OK;
    }
    return weir_vector_slice(arena, from, rows, picked->count, ret, reterr);
}

static weir_status picked_end(struct weir_evaluation *evaluation, const struct picked *picked,
                              const struct weir_vector *parts, uint32_t part_count,
                              const struct weir_node *call, struct weir_vector *ret,
                              struct weir_error *reterr)
{
    struct weir_arena *arena = evaluation->arena;
    const struct weir_type *element = &call->type.children[0].type;
    struct weir_vector *child, *spreads;
    WEIR_TRY(weir_arena_zero(arena, 1, sizeof *child, &child, reterr));
    WEIR_TRY(weir_arena_zero(arena, part_count + 1, sizeof *spreads, &spreads, reterr));
    if (!picked->source) {
        struct weir_selection selection = {picked->count, picked->rows};
        WEIR_TRY(weir_vector_gather(arena, &parts[0], &selection, child, reterr));
    } else {
        for (uint32_t p = 0; p < part_count; p++)
            WEIR_TRY(spread(arena, picked, p, &parts[p], element, &spreads[p], reterr));
        WEIR_TRY(weir_vectors_choose(arena, spreads, picked->source, picked->count, element, child,
                                     reterr));
    }
    child->type = element;
    *ret = (struct weir_vector){.type = &call->type,
                                .kind = WEIR_FLAT,
                                .count = evaluation->count,
                                .validity = ret->validity,
                                .offsets = picked->offsets,
                                .children = child};
    return WEIR_OK;
}

static bool valid_at(const struct weir_vector *ret, uint32_t row)
{
    return !ret->validity || weir_bit_get(ret->validity, row);
}

/* Elements of all rows of a list argument. */
static uint64_t elements(const struct weir_evaluation *evaluation, const struct list_lane *list)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < evaluation->count; i++) {
        uint32_t at = weir_lane(&list->lane, i);
        count += (uint64_t)(list->offsets[at + 1] - list->offsets[at]);
    }
    return count;
}

/* ---- concat, append, prepend: a null list is an empty one ---- */

static weir_status bind_add(struct weir_arena *arena, struct weir_node *call,
                            struct weir_error *reterr)
{
    bool front = strstr(call->function->name, "prepend") != NULL;
    WEIR_TRY(list_bind_element(arena, call, front, !front, reterr));
    call->type = call->arguments[front]->type;
    return WEIR_OK;
}

/* list || element, element || list too */
static weir_status bind_concat(struct weir_arena *arena, struct weir_node *call,
                               struct weir_error *reterr)
{
    struct weir_node *made, **side = call->arguments;
    if (call->argument_count == 2)
        for (int i = 0; i < 2; i++)
            if (side[i]->type.id == WEIR_LIST && side[!i]->type.id != WEIR_LIST &&
                !side[!i]->unknown) {
                WEIR_TRY(weir_node_call(arena, i ? "list_prepend" : "list_append", side, 2,
                                        call->location, &made, reterr));
                *call = *made;
                return WEIR_OK;
            }
    return list_bind_lists(arena, call, call->argument_count, reterr);
}

static weir_status evaluate_concat(struct weir_evaluation *evaluation, const struct weir_node *call,
                                   const struct weir_vector *arguments, struct weir_vector *ret,
                                   struct weir_error *reterr)
{
    uint32_t width = call->argument_count, count = evaluation->count;
    struct list_lane *lists;
    struct weir_vector *parts;
    struct picked picked;
    uint64_t room = 0;
    WEIR_TRY(weir_arena_zero(evaluation->arena, width + 1, sizeof *lists, &lists, reterr));
    WEIR_TRY(weir_arena_zero(evaluation->arena, width + 1, sizeof *parts, &parts, reterr));
    for (uint32_t a = 0; a < width; a++) {
        lists[a] = list_lane_of(&arguments[a]);
        parts[a] = *lists[a].child;
        room += elements(evaluation, &lists[a]);
    }
    WEIR_TRY(picked_begin(evaluation, room, true, &picked, reterr));
    WEIR_TRY(expr_bitmap(evaluation->arena, count, false, &ret->validity, reterr));
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t a = 0; a < width; a++) {
            uint32_t at = weir_lane(&lists[a].lane, i);
            if (!weir_lane_valid(&lists[a].lane, i))
                continue;
            weir_bit_set(ret->validity, i);
            for (int32_t e = lists[a].offsets[at]; e < lists[a].offsets[at + 1]; e++)
                pick(&picked, a, (uint32_t)e);
        }
        picked.offsets[i + 1] = (int32_t)picked.count;
    }
    return picked_end(evaluation, &picked, parts, width, call, ret, reterr);
}

static weir_status evaluate_add(struct weir_evaluation *evaluation, const struct weir_node *call,
                                const struct weir_vector *arguments, struct weir_vector *ret,
                                struct weir_error *reterr)
{
    bool front = strstr(call->function->name, "prepend") != NULL;
    struct list_lane list = list_lane_of(&arguments[front]);
    struct weir_vector parts[2] = {*list.child, arguments[!front]};
    struct picked picked;
    WEIR_TRY(picked_begin(evaluation, elements(evaluation, &list) + evaluation->count, true,
                          &picked, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++) {
        uint32_t at = weir_lane(&list.lane, i);
        if (front)
            pick(&picked, 1, i);
        if (weir_lane_valid(&list.lane, i))
            for (int32_t e = list.offsets[at]; e < list.offsets[at + 1]; e++)
                pick(&picked, 0, (uint32_t)e);
        if (!front)
            pick(&picked, 1, i);
        picked.offsets[i + 1] = (int32_t)picked.count;
    }
    ret->validity = NULL;
    return picked_end(evaluation, &picked, parts, 2, call, ret, reterr);
}

/* ---- slice ---- */

static weir_status bind_slice(struct weir_arena *arena, struct weir_node *call,
                              struct weir_error *reterr)
{
    WEIR_TRY(list_bind(arena, call, 0, reterr));
    for (uint32_t i = 1; i < call->argument_count; i++)
        WEIR_TRY(bind_as(arena, call, i, WEIR_LONG, reterr));
    call->type = call->arguments[0]->type;
    return WEIR_OK;
}

static int64_t long_at(const struct weir_lane *lane, uint32_t row, int64_t otherwise)
{
    return lane->flat && weir_lane_valid(lane, row)
               ? ((const int64_t *)lane->flat->values)[weir_lane(lane, row)]
               : otherwise;
}

/* Place from 1, within the list; `upper`: where places grow towards, so 0 and size + 1 are beyond.
 */
static int64_t place_of(int64_t place, int64_t size, bool upper)
{
    if (place < 0)
        place = place < -size ? 0 : size + place + 1;
    if (upper)
        return place > size ? size : place;
    return place < 1 ? 1 : place;
}

/* Bounds count from 1, negative ones from the end; a null one is open. */
static weir_status evaluate_slice(struct weir_evaluation *evaluation, const struct weir_node *call,
                                  const struct weir_vector *arguments, struct weir_vector *ret,
                                  struct weir_error *reterr)
{
    struct list_lane list = list_lane_of(&arguments[0]);
    struct weir_lane low = weir_lane_of(&arguments[1]), high = weir_lane_of(&arguments[2]),
                     by = {0};
    struct picked picked;
    if (call->argument_count == 4)
        by = weir_lane_of(&arguments[3]);
    WEIR_TRY(picked_begin(evaluation, elements(evaluation, &list), false, &picked, reterr));
    WEIR_TRY(expr_bitmap(evaluation->arena, evaluation->count, false, &ret->validity, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++) {
        uint32_t at = weir_lane(&list.lane, i);
        int64_t first = list.offsets[at], size = list.offsets[at + 1] - first,
                step = long_at(&by, i, 1), from = long_at(&low, i, step < 0 ? size : 1),
                to = long_at(&high, i, step < 0 ? 1 : size);
        from = place_of(from, size, step < 0);
        to = place_of(to, size, step > 0);
        if (weir_lane_valid(&list.lane, i)) {
            weir_bit_set(ret->validity, i);
            if (step == 0)
                WEIR_TRY(weir_evaluation_fail(evaluation, call, i, reterr, "a step of 0"));
            for (int64_t e = from; step > 0 && e <= to; e = step > to - e ? to + 1 : e + step)
                pick(&picked, 0, (uint32_t)(first + e - 1));
            for (int64_t e = from; step < 0 && e >= to; e = step < to - e ? to - 1 : e + step)
                pick(&picked, 0, (uint32_t)(first + e - 1));
        }
        picked.offsets[i + 1] = (int32_t)picked.count;
    }
    return picked_end(evaluation, &picked, list.child, 1, call, ret, reterr);
}

/* ---- reverse, sort, distinct ---- */

static weir_status bind_same(struct weir_arena *arena, struct weir_node *call,
                             struct weir_error *reterr)
{
    WEIR_TRY(list_bind(arena, call, 0, reterr));
    for (uint32_t i = 1; i < call->argument_count; i++)
        WEIR_TRY(bind_as(arena, call, i, WEIR_STRING, reterr));
    call->type = call->arguments[0]->type;
    return WEIR_OK;
}

static weir_status bind_unique(struct weir_arena *arena, struct weir_node *call,
                               struct weir_error *reterr)
{
    WEIR_TRY(list_bind(arena, call, 0, reterr));
    call->type = (struct weir_type){.id = WEIR_LONG};
    return WEIR_OK;
}

struct order {
    const struct weir_vector *child;
    bool descending, nulls_first;
    const struct weir_arena *arena; /* asked at times whether to stop: then all are equal */
    uint64_t compared;
    bool stopped;
};

static int order_rows(const void *a, const void *b, void *self)
{
    struct order *order = self;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    if (++order->compared % WEIR_CHECK_ROWS == 0)
        order->stopped = weir_arena_check(order->arena, NULL) != WEIR_OK;
    if (order->stopped)
        return 0;
    bool known_x = weir_vector_valid(order->child, x), known_y = weir_vector_valid(order->child, y);
    int found = 0;
    if (known_x && known_y)
        found = weir_value_order(order->child, x, order->child, y) * (order->descending ? -1 : 1);
    else if (known_x != known_y)
        found = known_x == order->nulls_first ? 1 : -1;
    return found ? found : (x > y) - (x < y); /* as they came */
}

static bool word_is(const struct weir_lane *lane, uint32_t row, const char *word)
{
    struct weir_bytes text = weir_lane_bytes(lane, row);
    size_t size = strlen(word);
    return text.size >= size && strncasecmp((const char *)text.data, word, size) == 0;
}

static weir_status evaluate_sort(struct weir_evaluation *evaluation, const struct weir_node *call,
                                 const struct weir_vector *arguments, struct weir_vector *ret,
                                 struct weir_error *reterr)
{
    const char *name = call->function->name;
    bool sort = strstr(name, "sort") != NULL, reversed = strstr(name, "reverse_sort") != NULL;
    struct list_lane list = list_lane_of(&arguments[0]);
    struct weir_lane way = {0}, nulls = {0};
    struct picked picked;
    if (call->argument_count > 1)
        way = weir_lane_of(&arguments[1]);
    if (call->argument_count > 2)
        nulls = weir_lane_of(&arguments[2]);
    WEIR_TRY(picked_begin(evaluation, elements(evaluation, &list), false, &picked, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++) {
        uint32_t at = weir_lane(&list.lane, i), before = picked.count;
        int32_t from = list.offsets[at], to = list.offsets[at + 1];
        struct order order = {list.child, reversed, false, evaluation->arena, 0, false};
        for (int32_t e = from; valid_at(ret, i) && e < to; e++)
            pick(&picked, 0, (uint32_t)(sort ? e : from + to - 1 - e));
        if (valid_at(ret, i) &&
            ((way.flat && !word_is(&way, i, "asc") && !word_is(&way, i, "desc")) ||
             (nulls.flat && !word_is(&nulls, i, "nulls first") &&
              !word_is(&nulls, i, "nulls last"))))
            WEIR_TRY(weir_evaluation_fail(evaluation, call, i, reterr,
                                          "%s: the words are asc, desc, nulls first, nulls last",
                                          name));
        if (way.flat && valid_at(ret, i))
            order.descending = word_is(&way, i, "desc") != reversed;
        if (nulls.flat && valid_at(ret, i))
            order.nulls_first = word_is(&nulls, i, "nulls first");
        else
            order.nulls_first = order.descending; /* PostgreSQL's */
        if (sort)
            qsort_r(picked.rows + before, picked.count - before, sizeof *picked.rows, order_rows,
                    &order);
        WEIR_TRY(weir_arena_check(evaluation->arena, reterr));
        picked.offsets[i + 1] = (int32_t)picked.count;
    }
    return picked_end(evaluation, &picked, list.child, 1, call, ret, reterr);
}

static int order_numbers(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* A row's elements that are not null, each value once, where it comes first. */
static void pick_distinct(const struct weir_arena *arena, struct picked *picked,
                          const struct list_lane *list, uint32_t at)
{
    uint32_t before = picked->count, kept = before;
    struct order order = {list->child, false, false, arena, 0, false};
    for (int32_t e = list->offsets[at]; e < list->offsets[at + 1]; e++)
        if (weir_vector_valid(list->child, (size_t)e))
            pick(picked, 0, (uint32_t)e);
    uint32_t *rows = picked->rows;
    qsort_r(rows + before, picked->count - before, sizeof *rows, order_rows, &order);
    for (uint32_t i = before; i < picked->count; i++)
        if (kept == before ||
            weir_value_order(list->child, rows[i], list->child, rows[kept - 1]) != 0)
            rows[kept++] = rows[i];
    picked->count = kept;
    qsort(rows + before, kept - before, sizeof *rows, order_numbers);
}

static weir_status evaluate_distinct(struct weir_evaluation *evaluation,
                                     const struct weir_node *call,
                                     const struct weir_vector *arguments, struct weir_vector *ret,
                                     struct weir_error *reterr)
{
    struct list_lane list = list_lane_of(&arguments[0]);
    struct picked picked;
    bool count = call->type.id == WEIR_LONG;
    WEIR_TRY(picked_begin(evaluation, elements(evaluation, &list), false, &picked, reterr));
    if (count)
        WEIR_TRY(weir_result_flat(evaluation, &call->type, ret, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++) {
        if (valid_at(ret, i))
            pick_distinct(evaluation->arena, &picked, &list, weir_lane(&list.lane, i));
        WEIR_TRY(weir_arena_check(evaluation->arena, reterr));
        picked.offsets[i + 1] = (int32_t)picked.count;
        if (count)
            ((int64_t *)ret->values)[i] = picked.offsets[i + 1] - picked.offsets[i];
    }
    return count ? WEIR_OK : picked_end(evaluation, &picked, list.child, 1, call, ret, reterr);
}

/* ---- flatten ---- */

static weir_status bind_flatten(struct weir_arena *arena, struct weir_node *call,
                                struct weir_error *reterr)
{
    WEIR_TRY(list_bind(arena, call, 0, reterr));
    call->type = call->arguments[0]->type.children[0].type;
    return call->type.id == WEIR_LIST ? WEIR_OK : bind_wrong(call, reterr);
}

static weir_status evaluate_flatten(struct weir_evaluation *evaluation,
                                    const struct weir_node *call,
                                    const struct weir_vector *arguments, struct weir_vector *ret,
                                    struct weir_error *reterr)
{
    struct list_lane list = list_lane_of(&arguments[0]), inner = list_lane_of(list.child);
    struct picked picked;
    uint64_t room = 0;
    for (uint32_t i = 0; i < evaluation->count; i++) {
        uint32_t at = weir_lane(&list.lane, i);
        for (int32_t e = list.offsets[at]; e < list.offsets[at + 1]; e++)
            room += (uint64_t)(inner.offsets[e + 1] - inner.offsets[e]);
    }
    WEIR_TRY(picked_begin(evaluation, room, false, &picked, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++) {
        uint32_t at = weir_lane(&list.lane, i);
        for (int32_t e = list.offsets[at]; valid_at(ret, i) && e < list.offsets[at + 1]; e++)
            for (int32_t v = inner.offsets[e]; v < inner.offsets[e + 1]; v++)
                pick(&picked, 0, (uint32_t)v);
        picked.offsets[i + 1] = (int32_t)picked.count;
    }
    return picked_end(evaluation, &picked, inner.child, 1, call, ret, reterr);
}

/* ---- range, generate_series ---- */

static weir_status bind_range(struct weir_arena *arena, struct weir_node *call,
                              struct weir_error *reterr)
{
    enum weir_type_id id = call->arguments[0]->type.id, element = WEIR_LONG;
    if (id == WEIR_DATE || id == WEIR_TIMESTAMP || id == WEIR_TIMESTAMPTZ) {
        if (call->argument_count != 3)
            return bind_wrong(call, reterr);
        element = id == WEIR_TIMESTAMPTZ ? id : WEIR_TIMESTAMP;
        WEIR_TRY(bind_as(arena, call, 2, WEIR_INTERVAL, reterr));
    }
    for (uint32_t i = 0; i < call->argument_count; i++)
        if (call->arguments[i]->type.id != WEIR_INTERVAL)
            WEIR_TRY(bind_as(arena, call, i, element, reterr));
    struct weir_type type = {.id = element};
    return list_type(arena, &type, &call->type, reterr);
}

/* One step on from a moment, as PostgreSQL counts: from the one before, whose day may be the last
 * of a shorter month. false: beyond all times. */
static bool step_on(int64_t *at, const struct weir_interval *by)
{
    int64_t days = *at / DAY - (*at % DAY < 0), rest = *at - days * DAY, year;
    unsigned month, day;
    if (by->months) {
        weir_days_to_civil(days, &year, &month, &day);
        int64_t months = year * 12 + (int64_t)month - 1 + by->months;
        year = months / 12 - (months % 12 < 0);
        month = (unsigned)(months - year * 12) + 1;
        int64_t first = weir_days_from_civil(year, month, 1),
                next = weir_days_from_civil(month == 12 ? year + 1 : year,
                                            month == 12 ? 1 : month + 1, 1);
        days = first + (day - 1 < next - first ? day - 1 : next - first - 1);
    }
    return !__builtin_mul_overflow(days + by->days, DAY, at) &&
           !__builtin_add_overflow(*at, rest, at) && !__builtin_add_overflow(*at, by->micros, at);
}

/* Steps are put into out where that is not NULL; *ret_count how many there are. false: too many. */
static bool steps(int64_t from, int64_t to, int64_t by, const struct weir_interval *interval,
                  bool closed, int64_t *out, uint64_t *ret_count)
{
    bool down = interval ? interval->months < 0 || interval->days < 0 || interval->micros < 0
                         : by < 0;
    uint64_t count = 0;
    for (int64_t at = from;
         down ? at > to || (closed && at == to) : at < to || (closed && at == to); count++) {
        if (count >= WEIR_LIST_ELEMENTS_MAX / 16)
            return false;
        if (out)
            out[count] = at;
        if (interval ? !step_on(&at, interval) : __builtin_add_overflow(at, by, &at)) {
            count++;
            break;
        }
    }
    *ret_count = count;
    return true;
}

struct span {
    int64_t from, to, by;
    struct weir_interval interval;
};

static struct span span_at(const struct weir_node *call, const struct weir_lane *lanes,
                           uint32_t row)
{
    struct span span = {.by = 1};
    uint32_t width = call->argument_count;
    if (width > 1)
        span.from = long_at(&lanes[0], row, 0);
    span.to = long_at(&lanes[width > 1], row, 0);
    if (width == 3 && lanes[2].flat->type->id == WEIR_INTERVAL)
        memcpy(&span.interval,
               (const uint8_t *)lanes[2].flat->values + (size_t)weir_lane(&lanes[2], row) * 16, 16);
    else if (width == 3)
        span.by = long_at(&lanes[2], row, 1);
    return span;
}

static weir_status evaluate_range(struct weir_evaluation *evaluation, const struct weir_node *call,
                                  const struct weir_vector *arguments, struct weir_vector *ret,
                                  struct weir_error *reterr)
{
    bool closed = call->function->name[0] == 'g',
         moments = call->type.children[0].type.id != WEIR_LONG;
    struct weir_lane lanes[3] = {{0}};
    struct weir_vector *child;
    struct picked offsets;
    uint64_t total = 0, count = 0;
    for (uint32_t a = 0; a < call->argument_count; a++)
        lanes[a] = weir_lane_of(&arguments[a]);
    WEIR_TRY(picked_begin(evaluation, 0, false, &offsets, reterr));
    WEIR_TRY(weir_arena_zero(evaluation->arena, 1, sizeof *child, &child, reterr));
    for (int round = 0; round < 2; round++) {
        if (round)
            WEIR_TRY(weir_arena_alloc(evaluation->arena, (total + 16) * sizeof(int64_t),
                                      &child->values, reterr));
        for (uint32_t i = 0; i < evaluation->count; i++) {
            struct span span = {0};
            count = 0;
            if (valid_at(ret, i) && !(evaluation->failed && weir_bit_get(evaluation->failed, i)))
                span = span_at(call, lanes, i);
            bool still = moments
                             ? !span.interval.months && !span.interval.days && !span.interval.micros
                             : span.by == 0;
            bool good = still ||
                        steps(span.from, span.to, span.by, moments ? &span.interval : NULL, closed,
                              round ? (int64_t *)child->values + offsets.offsets[i] : NULL, &count);
            if (!round && (!good || (still && valid_at(ret, i))))
                WEIR_TRY(weir_evaluation_fail(evaluation, call, i, reterr,
                                              good ? "a step of 0" : "a list that is too long"));
            total += round ? 0 : count;
            if (total > WEIR_LIST_ELEMENTS_MAX)
                return weir_fail(reterr, WEIR_NO_MEMORY, "lists of more than %u elements",
                                 WEIR_LIST_ELEMENTS_MAX);
            if (!round)
                offsets.offsets[i + 1] = (int32_t)total;
        }
    }
    child->type = &call->type.children[0].type;
    child->count = (uint32_t)total;
    *ret = (struct weir_vector){.type = &call->type,
                                .count = evaluation->count,
                                .validity = ret->validity,
                                .offsets = offsets.offsets,
                                .children = child};
    return WEIR_OK;
}

/* ---- text to lists and back ---- */

static weir_status bind_split(struct weir_arena *arena, struct weir_node *call,
                              struct weir_error *reterr)
{
    struct weir_type string = {.id = WEIR_STRING};
    for (uint32_t i = 0; i < 2; i++)
        WEIR_TRY(bind_as(arena, call, i, WEIR_STRING, reterr));
    return list_type(arena, &string, &call->type, reterr);
}

/* Parts of a text; between an empty separator's are its characters. Ends are put into `ends` (from
 * 0 on), texts into out. */
static weir_status split(struct weir_bytes text, struct weir_bytes by, struct weir_buffer *ends,
                         struct weir_buffer *out, struct weir_error *reterr)
{
    while (true) {
        const uint8_t *found = by.size && text.size ? memmem(text.data, text.size, by.data, by.size)
                                                    : NULL;
        size_t size = found ? (size_t)(found - text.data) : text.size;
        if (by.size == 0 && text.size) {
            size = 1;
            while (size < text.size && (text.data[size] & 0xC0) == 0x80)
                size++;
        }
        WEIR_TRY(weir_buffer_append(out, text.data, size, reterr));
        if (out->size > WEIR_BATCH_BYTES_MAX)
            return weir_fail(reterr, WEIR_NO_MEMORY, "a batch of strings of more than %u bytes",
                             WEIR_BATCH_BYTES_MAX);
        int32_t end = (int32_t)out->size;
        WEIR_TRY(weir_buffer_append(ends, &end, sizeof end, reterr));
        if (!found && (by.size || size >= text.size))
            return WEIR_OK;
        text.data += size + by.size;
        text.size -= size + by.size;
    }
}

static weir_status evaluate_split(struct weir_evaluation *evaluation, const struct weir_node *call,
                                  const struct weir_vector *arguments, struct weir_vector *ret,
                                  struct weir_error *reterr)
{
    struct weir_lane text = weir_lane_of(&arguments[0]), by = weir_lane_of(&arguments[1]);
    struct weir_arena *arena = evaluation->arena;
    WEIR_AUTO(weir_buffer) ends = {.account = arena->account}, out = {.account = arena->account};
    struct picked offsets;
    struct weir_vector *child;
    int32_t zero = 0;
    WEIR_TRY(picked_begin(evaluation, 0, false, &offsets, reterr));
    WEIR_TRY(weir_arena_zero(arena, 1, sizeof *child, &child, reterr));
    WEIR_TRY(weir_buffer_append(&ends, &zero, sizeof zero, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++) {
        if (valid_at(ret, i))
            WEIR_TRY(
                split(weir_lane_bytes(&text, i), weir_lane_bytes(&by, i), &ends, &out, reterr));
        offsets.offsets[i + 1] = (int32_t)(ends.size / sizeof zero) - 1;
    }
    WEIR_TRY(weir_arena_alloc(arena, ends.size + 64, &child->offsets, reterr));
    memcpy(child->offsets, ends.data, ends.size);
    WEIR_TRY(weir_arena_alloc(arena, out.size + 64, &child->values, reterr));
    if (out.size)
        memcpy(child->values, out.data, out.size);
    child->type = &call->type.children[0].type;
    child->count = (uint32_t)(ends.size / sizeof zero) - 1;
    *ret = (struct weir_vector){.type = &call->type,
                                .count = evaluation->count,
                                .validity = ret->validity,
                                .offsets = offsets.offsets,
                                .children = child};
    return WEIR_OK;
}

static weir_status bind_join(struct weir_arena *arena, struct weir_node *call,
                             struct weir_error *reterr)
{
    struct weir_type string = {.id = WEIR_STRING}, strings;
    WEIR_TRY(list_bind(arena, call, 0, reterr));
    WEIR_TRY(list_type(arena, &string, &strings, reterr));
    WEIR_TRY(weir_node_cast(arena, call->arguments[0], &strings, false, false, &call->arguments[0],
                            reterr));
    for (uint32_t i = 1; i < call->argument_count; i++)
        WEIR_TRY(bind_as(arena, call, i, WEIR_STRING, reterr));
    call->type = string;
    return WEIR_OK;
}

static weir_status join(struct weir_buffer *out, const struct list_lane *list,
                        const struct weir_lane *lanes, bool replaces, uint32_t row,
                        struct weir_error *reterr)
{
    struct weir_lane items = weir_lane_of(list->child);
    uint32_t at = weir_lane(&list->lane, row);
    struct weir_bytes by = weir_lane_bytes(&lanes[1], row);
    bool some = false;
    for (uint32_t e = (uint32_t)list->offsets[at]; e < (uint32_t)list->offsets[at + 1]; e++) {
        bool known = weir_lane_valid(&items, e);
        if (!known && !replaces)
            continue;
        struct weir_bytes text = known ? weir_lane_bytes(&items, e)
                                       : weir_lane_bytes(&lanes[2], row);
        if (some)
            WEIR_TRY(weir_buffer_append(out, by.data, by.size, reterr));
        WEIR_TRY(weir_buffer_append(out, text.data, text.size, reterr));
        some = true;
    }
    return WEIR_OK;
}

static weir_status evaluate_join(struct weir_evaluation *evaluation, const struct weir_node *call,
                                 const struct weir_vector *arguments, struct weir_vector *ret,
                                 struct weir_error *reterr)
{
    struct list_lane list = list_lane_of(&arguments[0]);
    struct weir_lane lanes[3] = {{0}};
    struct text_writer writer;
    for (uint32_t a = 1; a < call->argument_count; a++)
        lanes[a] = weir_lane_of(&arguments[a]);
    weir_status status = text_begin(&writer, evaluation, &call->type, ret, reterr);
    for (uint32_t i = 0; i < evaluation->count && status == WEIR_OK; i++) {
        if (valid_at(ret, i))
            status = join(&writer.buffer, &list, lanes, call->argument_count == 3, i, reterr);
        if (status == WEIR_OK)
            status = text_row(&writer, reterr);
    }
    return text_finish(&writer, status, reterr);
}

#define MAKE(name, signature, doc, flags, least, most, bind, evaluate)                             \
    {                                                                                              \
        name, "lists", name signature, doc, flags, least, most, bind, evaluate, NULL               \
    }
#define STRICT WEIR_FUNCTION_STRICT
#define CONCAT(name)                                                                               \
    MAKE(name, "(a, b, ...)", "the elements of all", 0, 1, -1, bind_concat, evaluate_concat)
#define APPEND(name) MAKE(name, "(list, x)", "x behind the rest", 0, 2, 2, bind_add, evaluate_add)
#define PREPEND(name)                                                                              \
    MAKE(name, "(x, list)", "x in front of the rest", 0, 2, 2, bind_add, evaluate_add)
#define SLICE(name)                                                                                \
    MAKE(name, "(list, from, to, step)", "elements from place to place, from 1", 0, 3, 4,          \
         bind_slice, evaluate_slice)
#define SORT(name)                                                                                 \
    MAKE(name, "(list, 'asc', 'nulls last')", "in order", STRICT, 1, 3, bind_same, evaluate_sort)
#define REVERSE_SORT(name)                                                                         \
    MAKE(name, "(list)", "in falling order", STRICT, 1, 1, bind_same, evaluate_sort)
#define REVERSE(name) MAKE(name, "(list)", "backwards", STRICT, 1, 1, bind_same, evaluate_sort)
#define DISTINCT(name)                                                                             \
    MAKE(name, "(list)", "each value once, no nulls", STRICT, 1, 1, bind_same, evaluate_distinct)
#define UNIQUE(name)                                                                               \
    MAKE(name, "(list)", "how many values there are", STRICT, 1, 1, bind_unique, evaluate_distinct)
#define SPLIT(name)                                                                                \
    MAKE(name, "(text, separator)", "its parts", STRICT, 2, 2, bind_split, evaluate_split)

const struct weir_function functions_list_make[] = {
    CONCAT("list_concat"),
    CONCAT("list_cat"),
    CONCAT("array_concat"),
    CONCAT("array_cat"),
    APPEND("list_append"),
    APPEND("array_append"),
    APPEND("array_push_back"),
    PREPEND("list_prepend"),
    PREPEND("array_prepend"),
    SLICE("list_slice"),
    SLICE("array_slice"),
    SORT("list_sort"),
    SORT("array_sort"),
    REVERSE_SORT("list_reverse_sort"),
    REVERSE_SORT("array_reverse_sort"),
    REVERSE("list_reverse"),
    REVERSE("array_reverse"),
    DISTINCT("list_distinct"),
    DISTINCT("array_distinct"),
    UNIQUE("list_unique"),
    UNIQUE("array_unique"),
    MAKE("flatten", "(lists)", "the elements of the lists in a list", STRICT, 1, 1, bind_flatten,
         evaluate_flatten),
    MAKE("range", "(from, to, step)", "from, from + step, ... below to", STRICT, 1, 3, bind_range,
         evaluate_range),
    MAKE("generate_series", "(from, to, step)", "from, from + step, ... up to and with to", STRICT,
         1, 3, bind_range, evaluate_range),
    SPLIT("string_split"),
    SPLIT("str_split"),
    SPLIT("split"),
    SPLIT("string_to_array"),
    MAKE("array_to_string", "(list, separator, null)", "the elements as text, nulls left out",
         STRICT, 2, 3, bind_join, evaluate_join),
    MAKE("list_to_string", "(list, separator, null)", "the elements as text, nulls left out",
         STRICT, 2, 3, bind_join, evaluate_join),
    {0},
};
