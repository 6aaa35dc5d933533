SELECT
  "t0"."value" AS "value"
FROM "array_a" AS "t0"
WHERE
  "t0"."value" > 2
ORDER BY
  "t0"."_row" ASC
