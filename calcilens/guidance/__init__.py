"""Clinical rules as data, and a small evaluator that cites a source for every statement.

What a network says is an input here, marked as predicted; nothing here changes it.
"""
