/* State of a table: positions, interval sets, and the way through a summary and back. */
#include "scheduler/commit/state.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static json_t *intervals(json_t *state)
{
    return json_object_get(json_object_get(state, "holes"), "k");
}

static void add(json_t *state, int64_t from, int64_t to)
{
    cr_assert_eq(weir_intervals_add(state, "holes", "k", from, to, NULL), WEIR_OK);
}

Test(state, intervals_unite_touching_and_overlapping)
{
    json_t *state = weir_state_new();
    add(state, 10, 20);
    add(state, 30, 40);
    add(state, 20, 30); /* touches both */
    cr_assert_eq(json_array_size(intervals(state)), 1);
    cr_assert_eq(weir_intervals_overlap(state, "holes", "k", 0, 100), 30);
    add(state, 0, 5);
    add(state, 50, 50); /* empty */
    cr_assert_eq(json_array_size(intervals(state)), 2);
    cr_assert(weir_intervals_has(state, "holes", "k", 4));
    cr_assert_not(weir_intervals_has(state, "holes", "k", 5));
    cr_assert(weir_intervals_has(state, "holes", "k", 39));
    cr_assert_not(weir_intervals_has(state, "holes", "k", 40));
    cr_assert_not(weir_intervals_has(state, "holes", "other", 4));
    json_decref(state);
}

/* Random sets against a plain array of flags. */
Test(state, intervals_like_a_set)
{
    for (unsigned seed = 1; seed <= 200; seed++) {
        srand(seed);
        bool in[64] = {false};
        json_t *state = weir_state_new();
        for (int n = 0; n < 12; n++) {
            int from = rand() % 64, to = from + rand() % (64 - from + 1);
            add(state, from, to);
            for (int i = from; i < to; i++)
                in[i] = true;
        }
        int64_t before = -1;
        size_t at;
        json_t *interval;
        json_array_foreach(intervals(state), at, interval)
        {
            int64_t from = json_integer_value(json_array_get(interval, 0));
            cr_assert_gt(from, before, "seed %u: sorted, apart", seed);
            before = json_integer_value(json_array_get(interval, 1));
            cr_assert_gt(before, from, "seed %u: not empty", seed);
        }
        for (int i = 0; i < 64; i++)
            cr_assert_eq(weir_intervals_has(state, "holes", "k", i), in[i], "seed %u: %d", seed, i);
        json_decref(state);
    }
}

Test(state, positions_keep_their_print)
{
    json_t *state = weir_state_new();
    char key[512];
    weir_position_key(key, sizeof key, "cluster", "topic", 0, 3);
    cr_assert_eq(weir_position_get(state, key, "next"), -1);
    cr_assert_eq(weir_position_set(state, key, 5, 9, json_pack("[i, i, s]", 8, 1, "h"), NULL),
                 WEIR_OK);
    cr_assert_eq(weir_position_set(state, key, 5, 12, NULL, NULL), WEIR_OK);
    cr_assert_eq(weir_position_get(state, key, "next"), 12);
    cr_assert_eq(weir_position_get(state, key, "start"), 5);
    json_t *print = json_object_get(json_object_get(json_object_get(state, "next"), key), "print");
    cr_assert_eq(json_array_size(print), 3, "an empty window keeps the fingerprint");
    cr_assert_eq(weir_incarnation(state, "cluster", "topic"), 0);
    weir_position_key(key, sizeof key, "cluster", "topic", 4, 3);
    cr_assert_eq(weir_position_set(state, key, 0, 0, NULL, NULL), WEIR_OK);
    cr_assert_eq(weir_incarnation(state, "cluster", "topic"), 4);
    cr_assert_eq(weir_incarnation(state, "cluster", "top"), 0);
    json_decref(state);
}

Test(state, a_summary_holds_texts_and_points_to_the_receipt_when_long)
{
    json_t *state = weir_state_new(), *summary = json_object();
    char key[512];
    for (int i = 0; i < WEIR_SUMMARY_PARTITIONS_MAX; i++) {
        weir_position_key(key, sizeof key, "c", "t", 0, i);
        cr_assert_eq(weir_position_set(state, key, 0, i, NULL, NULL), WEIR_OK);
    }
    json_object_set_new(state, "letters", json_string("_weir/letters/x/list-1.json"));
    cr_assert_eq(weir_state_to_summary(state, "receipt.json", summary, NULL), WEIR_OK);
    cr_assert_str_eq(json_string_value(json_object_get(summary, "weir.letters")),
                     "_weir/letters/x/list-1.json");
    cr_assert_str_eq(json_string_value(json_object_get(summary, "weir.epoch")), "1");
    json_t *next = json_loads(json_string_value(json_object_get(summary, "weir.next")), 0, NULL);
    cr_assert_eq(json_object_size(next), WEIR_SUMMARY_PARTITIONS_MAX);
    json_decref(next);
    weir_position_key(key, sizeof key, "c", "t", 0, WEIR_SUMMARY_PARTITIONS_MAX);
    cr_assert_eq(weir_position_set(state, key, 0, 1, NULL, NULL), WEIR_OK);
    cr_assert_eq(weir_state_to_summary(state, "receipt.json", summary, NULL), WEIR_OK);
    next = json_loads(json_string_value(json_object_get(summary, "weir.next")), 0, NULL);
    cr_assert_str_eq(json_string_value(json_object_get(next, "receipt")), "receipt.json");
    json_decref(next);
    json_decref(summary);
    json_decref(state);
}
