"""fluent"""
