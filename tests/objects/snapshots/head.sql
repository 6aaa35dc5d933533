SELECT
  "t2"."value" AS "value"
FROM (
  SELECT
    "t0"."_row" AS "_pos",
    "t0"."value" AS "value"
  FROM "array_a" AS "t0"
  ORDER BY
    "t0"."_row" ASC
  LIMIT 2
) AS "t2"
ORDER BY
  "t2"."_pos" ASC
