/* Accounts, blocks, arenas and buffers: what is charged is given back, limits hold, sizes that
 * overflow are refused. */
#include "engine/base/memory.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

static size_t used(struct weir_account *account)
{
    return atomic_load(&account->used);
}

Test(memory, a_charge_goes_up_to_the_root_and_comes_back)
{
    struct weir_account root, middle, leaf;
    weir_account_init(&root, NULL, "root", 1000);
    weir_account_init(&middle, &root, "middle", 0);
    weir_account_init(&leaf, &middle, "leaf", 600);
    cr_assert_eq(weir_account_charge(&leaf, 500, NULL), WEIR_OK);
    cr_assert_eq(used(&leaf), 500);
    cr_assert_eq(used(&root), 500);
    weir_account_release(&leaf, 200);
    cr_assert_eq(used(&middle), 300);
    cr_assert_eq(atomic_load(&root.peak), 500);
}

Test(memory, the_limit_that_is_passed_is_named_and_nothing_stays_charged)
{
    struct weir_account root, one, two;
    struct weir_error error = {0};
    weir_account_init(&root, NULL, "root", 1000);
    weir_account_init(&one, &root, "one", 600);
    weir_account_init(&two, &root, "two", 0);
    cr_assert_eq(weir_account_charge(&one, 601, &error), WEIR_NO_MEMORY);
    cr_assert(strstr(error.text, "one: 601 bytes"), "%s", error.text);
    cr_assert(strstr(error.hint, "memory_limit"));
    cr_assert_eq(weir_account_charge(&one, 600, &error), WEIR_OK);
    cr_assert_eq(weir_account_charge(&two, 401, &error), WEIR_NO_MEMORY);
    cr_assert(strstr(error.text, "root: 401 bytes"), "%s", error.text);
    cr_assert_eq(used(&two), 0, "the parent's no is taken back below");
    cr_assert_eq(used(&root), 600);
    cr_assert_eq(weir_account_charge(&two, SIZE_MAX, &error), WEIR_NO_MEMORY);
    cr_assert_eq(weir_account_charge(&two, SIZE_MAX - 100, &error), WEIR_NO_MEMORY, "wrapped");
    cr_assert_eq(used(&root), 600);
    cr_assert_eq(weir_account_charge(&two, 400, &error), WEIR_OK);
}

static void *charge_and_release(void *argument)
{
    for (int i = 0; i < 20000; i++)
        if (weir_account_charge(argument, 10, NULL) == WEIR_OK)
            weir_account_release(argument, 10);
    return NULL;
}

Test(memory, threads_share_an_account)
{
    struct weir_account root, leaf;
    pthread_t threads[3];
    weir_account_init(&root, NULL, "root", 25); /* some are refused */
    weir_account_init(&leaf, &root, "leaf", 0);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, charge_and_release, &leaf), 0);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    cr_assert_eq(used(&root), 0);
    cr_assert_eq(used(&leaf), 0);
    cr_assert_leq(atomic_load(&root.peak), 25);
}

Test(memory, blocks_know_their_size_and_account)
{
    struct weir_account account;
    weir_account_init(&account, NULL, "a", 0);
    static const size_t sizes[] = {0, 1, 63, 64, 65, 100000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint8_t *block = NULL;
        cr_assert_eq(weir_alloc(&account, sizes[i], &block, NULL), WEIR_OK);
        cr_assert_not_null(block);
        cr_assert_eq((uintptr_t)block % 64, 0);
        cr_assert_eq(weir_block_size(block), sizes[i]);
        cr_assert_geq(used(&account), sizes[i]);
        memset(block, 0xab, sizes[i]);
        weir_free(block);
        cr_assert_eq(used(&account), 0);
    }
    weir_free(NULL);
    cr_assert_eq(weir_block_size(NULL), 0);
}

Test(memory, sizes_that_overflow_are_refused)
{
    struct weir_account account;
    weir_account_init(&account, NULL, "a", 0);
    void *block = &account;
    cr_assert_eq(weir_alloc(&account, SIZE_MAX, &block, NULL), WEIR_NO_MEMORY);
    cr_assert_eq(weir_alloc(&account, SIZE_MAX - 10, &block, NULL), WEIR_NO_MEMORY);
    cr_assert_eq(weir_alloc_zero(&account, SIZE_MAX / 2, 3, &block, NULL), WEIR_NO_MEMORY);
    cr_assert_eq(block, &account, "results are untouched on failure");
    struct weir_arena arena;
    weir_arena_init(&arena, &account);
    cr_assert_eq(weir_arena_alloc(&arena, SIZE_MAX - 8, &block, NULL), WEIR_NO_MEMORY);
    cr_assert_eq(weir_arena_zero(&arena, (size_t)1 << 33, (size_t)1 << 33, &block, NULL),
                 WEIR_NO_MEMORY);
    WEIR_AUTO(weir_buffer) buffer = {.account = &account};
    cr_assert_eq(weir_buffer_append(&buffer, "x", 1, NULL), WEIR_OK);
    cr_assert_eq(weir_buffer_reserve(&buffer, SIZE_MAX - 1, NULL), WEIR_NO_MEMORY);
    cr_assert_eq(buffer.size, 1);
    weir_arena_done(&arena);
}

Test(memory, realloc_keeps_what_was_there)
{
    struct weir_account account;
    weir_account_init(&account, NULL, "a", 0);
    uint8_t *block = NULL;
    cr_assert_eq(weir_realloc(&block, &account, 10, NULL), WEIR_OK);
    for (uint8_t i = 0; i < 10; i++)
        block[i] = i;
    cr_assert_eq(weir_realloc(&block, &account, 5000, NULL), WEIR_OK);
    for (uint8_t i = 0; i < 10; i++)
        cr_assert_eq(block[i], i);
    memset(block, 1, 5000);
    account.limit = used(&account);
    uint8_t *before = block;
    cr_assert_eq(weir_realloc(&block, &account, 6000, NULL), WEIR_NO_MEMORY);
    cr_assert_eq(block, before, "the old block is left alone");
    cr_assert_eq(block[4999], 1);
    weir_free(block);
    cr_assert_eq(used(&account), 0);
}

Test(memory, zeroed_blocks_are_zero)
{
    struct weir_account account;
    weir_account_init(&account, NULL, "a", 0);
    uint8_t *block;
    cr_assert_eq(weir_alloc_zero(&account, 300, 3, &block, NULL), WEIR_OK);
    for (int i = 0; i < 900; i++)
        cr_assert_eq(block[i], 0);
    weir_free(block);
}

Test(memory, an_arena_hands_out_disjoint_aligned_pieces)
{
    struct weir_account account;
    struct weir_arena arena;
    weir_account_init(&account, NULL, "a", 0);
    weir_arena_init(&arena, &account);
    uint8_t *pieces[400];
    for (size_t i = 0; i < 400; i++) {
        size_t size = i * 37 % 1500;
        cr_assert_eq(weir_arena_alloc(&arena, size, &pieces[i], NULL), WEIR_OK);
        cr_assert_eq((uintptr_t)pieces[i] % (size >= 64 ? 64 : 8), 0);
        memset(pieces[i], (int)(i % 251), size);
    }
    for (size_t i = 0; i < 400; i++)
        for (size_t b = 0; b < i * 37 % 1500; b++)
            cr_assert_eq(pieces[i][b], i % 251, "piece %zu was written over", i);
    uint8_t *large;
    cr_assert_eq(weir_arena_alloc(&arena, 5 << 20, &large, NULL), WEIR_OK);
    large[(5 << 20) - 1] = 1;
    size_t most = used(&account);
    weir_arena_reset(&arena);
    cr_assert_eq(arena.used, 0);
    cr_assert_gt(used(&account), 0, "the first block is kept");
    cr_assert_lt(used(&account), most);
    cr_assert_eq(weir_arena_alloc(&arena, 100, &large, NULL), WEIR_OK);
    weir_arena_done(&arena);
    weir_arena_done(&arena);
    weir_arena_done(NULL);
    cr_assert_eq(used(&account), 0);
}

Test(memory, an_arena_copies_and_prints_texts)
{
    struct weir_account account;
    struct weir_arena arena;
    char *text;
    weir_account_init(&account, NULL, "a", 0);
    weir_arena_init(&arena, &account);
    cr_assert_eq(weir_arena_copy(&arena, "ab\0cd", 5, &text, NULL), WEIR_OK);
    cr_assert_eq(memcmp(text, "ab\0cd", 6), 0);
    cr_assert_eq(weir_arena_copy(&arena, NULL, 0, &text, NULL), WEIR_OK);
    cr_assert_str_eq(text, "");
    cr_assert_eq(weir_arena_print(&arena, &text, NULL, "%s-%05d", "x", 42), WEIR_OK);
    cr_assert_str_eq(text, "x-00042");
    account.limit = 1;
    char *before = text;
    cr_assert_eq(weir_arena_print(&arena, &text, NULL, "%*d", 100000, 1), WEIR_NO_MEMORY);
    cr_assert_eq(text, before);
    weir_arena_done(&arena);
}

Test(memory, a_buffer_grows_and_keeps_a_nul_behind_texts)
{
    struct weir_account account;
    struct weir_buffer buffer;
    weir_account_init(&account, NULL, "a", 0);
    weir_buffer_init(&buffer, &account);
    for (int i = 0; i < 1000; i++)
        cr_assert_eq(i % 2 ? weir_buffer_print(&buffer, NULL, "%04d", i)
                           : weir_buffer_append(&buffer, "abcd", 4, NULL),
                     WEIR_OK);
    cr_assert_eq(buffer.size, 4000);
    cr_assert_eq(memcmp(buffer.data, "abcd0001abcd0003", 16), 0);
    cr_assert_eq(buffer.data[4000], 0);
    size_t capacity = buffer.capacity;
    weir_buffer_clear(&buffer);
    cr_assert_eq(buffer.size, 0);
    cr_assert_eq(weir_buffer_append(&buffer, NULL, 0, NULL), WEIR_OK);
    cr_assert_eq(buffer.capacity, capacity);
    weir_buffer_done(&buffer);
    weir_buffer_done(&buffer);
    weir_buffer_done(NULL);
    cr_assert_eq(used(&account), 0);
}
