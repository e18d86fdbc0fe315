/* The registry: families of functions, found by name. docs/sql.md is made from it. */
#include "engine/expr/function_list.h"

#include <stdlib.h>
#include <string.h>

static const struct weir_function *const families[] = {
    functions_arithmetic,  functions_number, functions_string, functions_regexp,
    functions_calendar,    functions_format, functions_printf, functions_time,
    functions_time_window, functions_list,   functions_lambda, functions_list_make,
    functions_map,         functions_json,   functions_other,  functions_trade,
};
#define FAMILY_COUNT (sizeof families / sizeof *families)

const struct weir_function *weir_function_find(const char *name)
{
    for (size_t f = 0; f < FAMILY_COUNT; f++)
        for (const struct weir_function *function = families[f]; function->name; function++)
            if (strcmp(function->name, name) == 0)
                return function;
    return NULL;
}

const struct weir_function *const *weir_function_all(size_t *ret_count)
{
    static const struct weir_function *all[1024];
    static size_t count;
    if (!count)
        for (size_t f = 0; f < FAMILY_COUNT; f++)
            for (const struct weir_function *function = families[f]; function->name; function++)
                if (count < 1024)
                    all[count++] = function;
    *ret_count = count;
    return all;
}

const char *weir_function_nearest(const char *name)
{
    const char *best = NULL;
    size_t distance = 4, count;
    const struct weir_function *const *all = weir_function_all(&count);
    for (size_t i = 0; i < count; i++)
        if (weir_text_distance(all[i]->name, name) < distance) {
            best = all[i]->name;
            distance = weir_text_distance(best, name);
        }
    return best;
}
