# report: one page that opens without a network. index.html is the page of `all`; upper_bound.html is the same page with
# the fully supervised bound in it, so that asking for the bound never makes `all` train it.


rule make_page:
    input:
        **dataset(),
        scores=lambda wildcards: scores(bound=wildcards.page == "upper_bound"),
        index="results/{experiment}/data/val.csv",
        classes=rules.list_classes.output.classes,
        curves=[
            rules.train_localizer.output.curves,
            "results/{experiment}/segment/pseudo_masks/training.csv",
        ],
        panels=lambda wildcards: panel_files(wildcards),
        confusions=results("evaluate/segmenter-{split}-confusion.csv", split=experiment.evaluate.segmenter),
        localization=localization_scores,
        left_out=results("data/left_out/{split}.csv", split=SPLITS),
    output:
        page=report(
            "results/{experiment}/report/{page}.html",
            caption="../report/page.rst",
            category="Page",
            labels={"page": "{page}"},
        ),
        picture="results/{experiment}/report/{page}.jpg",
    log:
        "logs/{experiment}/report/{page}.log",
    benchmark:
        "results/{experiment}/benchmarks/report/{page}.tsv"
    wildcard_constraints:
        page="index|upper_bound",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=memory(4000),
        runtime=30,
    params:
        settings=settings("report"),
        # The page shows them all, so it is made again when any of them changes.
        config=experiment.model_dump_json(),
        tables=made_tables,
        code=code_of("stages.report.make_page"),
        results=lambda wildcards: f"results/{wildcards.experiment}",
        root=dataset_root,
        shards=len(SHARDS),
    shell:
        "python -m stages.report.make_page --settings {params.settings:q} --experiment {wildcards.experiment}"
        " --config {params.config:q} --results {params.results} --root {params.root:q} --shards {params.shards}"
        " --scores {input.scores}"
        " --confusions {input.confusions} --localization {input.localization} --left-out {input.left_out}"
        " --picture {output.picture} --output {output.page} &> {log}"


# All val images, to be filtered and sorted; index.html links to it.
rule make_gallery:
    input:
        **dataset(),
        index="results/{experiment}/data/val.csv",
        classes=rules.list_classes.output.classes,
        panels=lambda wildcards: panel_files(wildcards),
    output:
        page=report(
            "results/{experiment}/report/gallery.html",
            caption="../report/page.rst",
            category="Page",
            labels={"page": "gallery"},
        ),
        pictures=directory("results/{experiment}/report/gallery"),
    log:
        "logs/{experiment}/report/gallery.log",
    benchmark:
        "results/{experiment}/benchmarks/report/gallery.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        gpu=0,
        mem_mb=memory(4000),
        runtime=60,
    params:
        results=lambda wildcards: f"results/{wildcards.experiment}",
        root=dataset_root,
        shards=len(SHARDS),
        code=code_of("stages.report.make_gallery"),
    shell:
        "python -m stages.report.make_gallery --experiment {wildcards.experiment}"
        " --results {params.results} --root {params.root:q} --shards {params.shards} --processes {threads}"
        " --pictures {output.pictures} --output {output.page} &> {log}"


rule upper_bound:
    input:
        results("evaluate/upper_bound.csv"),
        results("report/upper_bound.html"),
