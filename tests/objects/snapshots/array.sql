SELECT
  "t0"."value" AS "value"
FROM "array_a" AS "t0"
ORDER BY
  "t0"."_row" ASC
