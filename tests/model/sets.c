/* Sets of records and of files, as bit words. The bottom of the model: knows nothing of the
 * protocol. */
#include "tests/model/model.h"

bool rows_any(const struct rows *set)
{
    uint64_t any = 0;
    for (int i = 0; i < SLOT_COUNT; i++)
        any |= set->of[i];
    return any != 0;
}

bool rows_meet(const struct rows *a, const struct rows *b)
{
    uint64_t any = 0;
    for (int i = 0; i < SLOT_COUNT; i++)
        any |= a->of[i] & b->of[i];
    return any != 0;
}

bool rows_within(const struct rows *a, const struct rows *b)
{
    uint64_t any = 0;
    for (int i = 0; i < SLOT_COUNT; i++)
        any |= a->of[i] & ~b->of[i];
    return any == 0;
}

bool rows_equal(const struct rows *a, const struct rows *b)
{
    return rows_within(a, b) && rows_within(b, a);
}

void rows_add(struct rows *a, const struct rows *b)
{
    for (int i = 0; i < SLOT_COUNT; i++)
        a->of[i] |= b->of[i];
}

void rows_take(struct rows *a, const struct rows *b)
{
    for (int i = 0; i < SLOT_COUNT; i++)
        a->of[i] &= ~b->of[i];
}

void rows_keep(struct rows *a, const struct rows *b)
{
    for (int i = 0; i < SLOT_COUNT; i++)
        a->of[i] &= b->of[i];
}

void rows_range(struct rows *set, int slot, int from, int to)
{
    if (from < to)
        set->of[slot] |= ((1ull << to) - 1) & ~((1ull << from) - 1);
}

bool files_any(const struct files *set)
{
    uint64_t any = 0;
    for (int i = 0; i < FILE_WORDS; i++)
        any |= set->word[i];
    return any != 0;
}

bool files_has(const struct files *set, int file)
{
    return set->word[file / 64] >> (file % 64) & 1;
}

void files_put(struct files *set, int file)
{
    set->word[file / 64] |= 1ull << (file % 64);
}

void files_drop(struct files *set, int file)
{
    set->word[file / 64] &= ~(1ull << (file % 64));
}

void files_add(struct files *a, const struct files *b)
{
    for (int i = 0; i < FILE_WORDS; i++)
        a->word[i] |= b->word[i];
}

void files_take(struct files *a, const struct files *b)
{
    for (int i = 0; i < FILE_WORDS; i++)
        a->word[i] &= ~b->word[i];
}

void files_keep(struct files *a, const struct files *b)
{
    for (int i = 0; i < FILE_WORDS; i++)
        a->word[i] &= b->word[i];
}

bool files_within(const struct files *a, const struct files *b)
{
    uint64_t any = 0;
    for (int i = 0; i < FILE_WORDS; i++)
        any |= a->word[i] & ~b->word[i];
    return any == 0;
}

bool files_equal(const struct files *a, const struct files *b)
{
    return files_within(a, b) && files_within(b, a);
}

int files_next(const struct files *set, int file)
{
    for (int i = file / 64; i < FILE_WORDS; i++) {
        uint64_t word = set->word[i];
        if (i == file / 64)
            word &= ~0ull << (file % 64);
        if (word)
            return i * 64 + __builtin_ctzll(word);
    }
    return NONE;
}
